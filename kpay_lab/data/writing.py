"""Write a log as files that `open_log` reads back."""

from pathlib import Path

from kpay_lab.data.tables import Tables

FORMATS = ("csv", "parquet")


def write_tables(tables: Tables, folder: str | Path, format: str = "csv") -> list[Path]:
    """Write each table as a file such as ``events.csv``, with times in ISO 8601, UTC.

    Parameters
    ----------
    folder : str or Path
        It is made if it is absent.
    format : {"csv", "parquet"}

    Returns
    -------
    list of Path
        The files, in the order of the schemas.

    Raises
    ------
    ValueError
        If the format is unknown.
    """
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; choose one of {', '.join(FORMATS)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in tables.present().items():
        path = folder / f"{name}.{format}"
        if format == "parquet":
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        paths.append(path)
    return paths
