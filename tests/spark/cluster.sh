#!/usr/bin/env bash
# A standalone Spark cluster on loopback: one master, two workers of 1 core and 2 GB each, and
# a Connect server if asked for. Usage: cluster.sh start|connect|disconnect|stop FOLDER
# FOLDER keeps logs, work and process ids. PYTHON names an interpreter that has pyspark.
set -euo pipefail
action=$1 folder=$2
host=127.0.0.1
master_port=${KPAY_SPARK_PORT:-17077}
master=spark://$host:$master_port
python=${PYTHON:-python3}

SPARK_HOME=$("$python" -c 'import importlib.util as u; print(u.find_spec("pyspark").submodule_search_locations[0])')
export SPARK_HOME SPARK_LOCAL_IP=$host PYSPARK_PYTHON=$python

# launch NAME COMMAND...: run it in the background, keep its process id.
launch() {
    local name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 </dev/null &
    echo $! >"$folder/$name.pid"
}

# await NAME WORDS: wait until the process says so, at most ten minutes.
await() {
    for _ in $(seq 1200); do
        grep -q "$2" "$folder/$1.log" && return
        kill -0 "$(cat "$folder/$1.pid")" 2>/dev/null || break
        sleep 0.5
    done
    echo "$1 did not start:" >&2
    cat "$folder/$1.log" >&2
    return 1
}

start() {
    mkdir -p "$folder"
    launch master "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.master.Master \
        --host $host --port "$master_port" --webui-port $((master_port + 1))
    await master "I have been elected leader"
    for number in 1 2; do
        launch worker-$number "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.worker.Worker \
            --host $host --port $((master_port + 10 * number)) \
            --webui-port $((master_port + 10 * number + 1)) \
            --cores 1 --memory 2g --work-dir "$folder/work-$number" "$master"
    done
    await worker-1 "Successfully registered with master"
    await worker-2 "Successfully registered with master"
    echo "$master"
}

connect() {
    local port=$((master_port + 40))
    launch connect "$SPARK_HOME/bin/spark-submit" --master "$master" \
        --class org.apache.spark.sql.connect.service.SparkConnectServer \
        --conf spark.connect.grpc.binding.address=$host \
        --conf spark.connect.grpc.binding.port=$port \
        --conf "spark.checkpoint.dir=$folder/checkpoints" --conf spark.ui.enabled=false spark-internal
    await connect "Spark Connect server started"
    echo "sc://$host:$port"
}

# end NAME...: end these processes by their ids and wait for them.
end() {
    local name pid
    for name in "$@"; do
        [ -f "$folder/$name.pid" ] || continue
        pid=$(cat "$folder/$name.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 40); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.5
        done
        kill -9 "$pid" 2>/dev/null || true
        rm "$folder/$name.pid"
    done
}

disconnect() { end connect; }

stop() { end connect worker-1 worker-2 master; }

"$action"
