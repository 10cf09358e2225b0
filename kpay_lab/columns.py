"""The columns of each table, the values of ``kind``, and the other names columns may have.

``part`` is train or test: it says where an event belongs if the log comes with a split of its own.
"""

REQUIRED = {
    "events": "user_id item_id",
    "items": "item_id",
    "users": "user_id",
    "orders": "user_id timestamp",
    "exposures": "user_id item_id timestamp",
    "follows": "user_id host",
    "offers": "source_item_id item_id timestamp",
}
OPTIONAL = {
    "events": "timestamp watch_time duration like_count comment_count share_count question_count "
    "progress rating source_item_id session_id part comment_text gift_amount",
    "items": "kind title description category brand host price duration published_at started_at "
    "ended_at promotes reviewed author_verified",
    "users": "age gender occupation consent",  # any further column is kept
    "orders": "item_id amount refund_amount refunded_at status source_item_id",
    "exposures": "position propensity treatment policy clicked purchased",
    "follows": "timestamp",
    "offers": "",
}

# How the events of one (user, item) pair become one row: these columns are summed, of those
# the largest value is taken. Every engine follows it.
SUMMED = ("watch_time", "like_count", "comment_count", "share_count", "question_count", "rating")
LARGEST = ("duration", "progress")

ITEM_KINDS = ("course", "report", "book", "live", "short_video", "other")
# Words for them; one that may mean two of them, such as 视频, is not among these.
KIND_WORDS = {
    "course": "courses 课程 网课 精品课 系列课 体系课",
    "report": "reports 报告 研报 研究报告 行业报告",
    "book": "books ebook ebooks 图书 书 书籍 电子书",
    "live": "livestream livestreams 直播 直播间",
    "short_video": "shortvideos clip clips 短视频",
    "other": "others 其他 其它",
}

# Other names for our columns. A bar parts ranks: where a file has names of several ranks for one
# column, the earliest wins; two of one rank are refused. Case, spaces, signs and a unit in brackets
# count for nothing (`data.headers`), so that `user_id` stands for `User ID` and `userId` too.
OTHER_NAMES = {
    "user_id": "uid visitor_id customer_id member_id buyer_id account_id viewer_id student_id "
    "learner_id 用户id 用户编号 会员id 会员编号 客户id 客户编号 买家id 学员id 学员编号 学生id "
    "观众id 账号id 访客id 粉丝id | openid open_id distinct_id | unionid | user visitor customer "
    "member buyer viewer student learner 用户 会员 客户 买家 顾客 学员 学生 观众 账号 访客",
    "item_id": "content_id course_id video_id product_id goods_id movie_id book_id live_id "
    "room_id stream_id lesson_id article_id report_id iid 内容id 课程id 视频id 商品id 直播间id "
    "直播id 物品id 作品id 图书id 产品id 报告id 内容编号 课程编号 视频编号 商品编号 产品编号 | "
    "item content course video product goods movie book lesson article 内容 课程 视频 商品 直播间 "
    "直播 物品 作品 图书 产品 sku sku_id | title item_name course_name course_title product_name "
    "课程名称 内容名称 商品名称 商品标题 视频标题 课程标题 内容标题",
    "timestamp": "ts event_time event_timestamp time_stamp action_time occurred_at viewed_at "
    "watched_at 时间戳 行为时间 发生时间 事件时间 操作时间 | time datetime date event_date "
    "date_watched created_at create_time 时间 日期 访问时间 浏览时间 创建时间",
    "watch_time": "watch_duration watching_time watched_time watch_seconds seconds_watched "
    "watch_minutes minutes_watched play_time play_duration dwell_time 观看时长 播放时长 收看时长 "
    "观看秒数 观看分钟数 播放秒数 | 学习时长 停留时长",
    "duration": "length video_duration video_length course_duration item_duration "
    "content_duration 时长 总时长 视频时长 课程时长 内容时长 片长",
    "like_count": "like likes liked is_like is_liked thumbs_up 点赞 点赞数 点赞量 点赞次数 "
    "是否点赞 赞 喜欢 | favorite favourite favorites favourites fav favs is_favorite collect "
    "collected is_collect 收藏 收藏数 收藏量 是否收藏",
    "comment_count": "comment comments commented is_comment 评论 评论数 评论量 评论次数 是否评论 | "
    "弹幕 弹幕数 弹幕量 danmaku danmu 留言 留言数",
    "comment_text": "comment_content comment_body danmaku_text danmu_text question_text 评论内容 "
    "评论文本 评论正文 留言内容 弹幕内容 提问内容 问题内容",
    "gift_amount": "gift_price gift_value gift_money gift_fee reward_amount tip_amount "
    "donation_amount 礼物金额 礼物价格 礼物价值 礼物总额 打赏金额 打赏总额 送礼金额 赞赏金额 | "
    "gift gifts reward tip donation 礼物 打赏 送礼 赞赏",
    "share_count": "share shares shared is_share forward forwards forwarded is_forward repost "
    "reposts 分享 分享数 分享量 转发 转发数 转发量 是否分享 是否转发",
    "question_count": "question questions asked is_question 提问 提问数 提问次数 问题数 是否提问",
    "progress": "completion completion_rate progress_rate percent_watched watched_percent 进度 "
    "观看进度 学习进度 完成度 完播率 完成率",
    "rating": "ratings score stars star rate user_rating course_rating 评分 打分 星级 分数",
    "source_item_id": "source_id source_item from_item_id referrer_item_id source_live_id "
    "source_room_id source_video_id source_content_id from_live_id from_room_id from_video_id "
    "来源id 来源内容id 来源视频id 来源商品id 来源直播间id 来源直播id 来源直播间 来源视频 来源内容 "
    "成交直播间id 成交直播间 成交视频id 带货直播间id 带货直播间 带货视频id 带货视频",
    "session_id": "session visit_id 会话 会话id",
    "kind": "type item_type content_type product_type 类型 内容类型 商品类型 课程类型",
    "title": "标题 课程标题 内容标题 商品标题 视频标题 course_title movie_title video_title | name "
    "item_name course_name product_name 名称 课程名称 内容名称 商品名称 视频名称 产品名称 书名",
    "description": "desc summary intro introduction 描述 简介 介绍 详情 课程简介 商品描述 内容简介",
    "category": "category_name 类目 分类 类别 品类 课程分类 商品类目 | genre genres subject topic "
    "学科 科目 频道 category_id 类目id",
    "brand": "brand_name 品牌 品牌名称",
    "host": "instructor teacher lecturer author anchor streamer presenter host_name 主播 讲师 老师 "
    "教师 作者 导师 主讲 主讲人 主播名称 讲师姓名 up主 | "
    "host_id streamer_id anchor_id author_id instructor_id teacher_id 主播id 讲师id 达人 达人id",
    "price": "价格 售价 现价 课程价格 商品价格 sale_price course_price | 单价 定价 原价 list_price "
    "unit_price",
    "published_at": "publish_time publish_date published release_date release_time upload_time "
    "发布时间 发布日期 上架时间 上线时间 上传时间 | created_at create_time 创建时间",
    "started_at": "start_time start_timestamp started live_start live_start_time begin_time "
    "开播时间 开始时间 直播开始时间 开始直播时间",
    "ended_at": "end_time end_timestamp ended live_end live_end_time finish_time 下播时间 "
    "结束时间 直播结束时间 关播时间",
    "promotes": "promoted_item_id 推广商品id 带货商品id 推广课程id",
    "reviewed": "approved is_reviewed 审核 已审核 是否审核",
    "author_verified": "verified is_verified 作者认证 是否认证",
    "age": "年龄",
    "gender": "sex 性别",
    "occupation": "job profession 职业",
    "consent": "consented opt_in agreed 同意 授权 是否同意 是否授权",
    "amount": "paid paid_amount amount_paid pay_amount payment payment_amount 实付金额 实付款 实付 "
    "支付金额 付款金额 实收金额 | order_amount total total_amount total_price revenue sales 金额 "
    "总金额 总价 订单金额 成交金额 交易金额 | price 价格 单价 售价",
    "refund_amount": "refund refunded refund_fee refunded_amount 退款 退款金额 已退金额 退货金额",
    "refunded_at": "refund_time refund_date 退款时间 退款日期",
    "status": "order_status 订单状态 交易状态 | state pay_status payment_status trade_status 状态 "
    "支付状态",
    "currency": "currency_code 币种 货币",
    "position": "pos rank slot 位置 曝光位置 排名",
    "propensity": "pscore probability 概率",
    "treatment": "treated is_treated 实验组 是否实验组",
    "policy": "strategy 策略",
    "clicked": "click clicks is_click 点击 是否点击",
    "purchased": "purchase bought is_buy is_purchase 购买 是否购买 是否成交",
}
# Where a table gives a column other names than the rest do.
OTHER_NAMES_IN = {
    "users": {"user_id": f"{OTHER_NAMES['user_id']} | id 编号"},
    "items": {"item_id": f"{OTHER_NAMES['item_id'].rpartition(' | ')[0]} | id 编号"},
    "orders": {
        "timestamp": "order_time ordered_at order_date purchase_time purchase_date purchased_at "
        "date_purchased 下单时间 下单日期 订单时间 订单创建时间 购买时间 购买日期 交易时间 | "
        "paid_at pay_time payment_time 支付时间 付款时间 成交时间 | ts time datetime date "
        "created_at create_time 时间 日期 时间戳 创建时间",
    },
    "exposures": {
        "timestamp": f"shown_at exposed_at exposure_time 曝光时间 展示时间 "
        f"{OTHER_NAMES['timestamp']}",
    },
    "follows": {
        "host": f"{OTHER_NAMES['host']} followee followed_host 关注主播 关注对象 被关注者",
        "timestamp": f"followed_at follow_time follow_date 关注时间 关注日期 "
        f"{OTHER_NAMES['timestamp']}",
    },
    "offers": {
        "timestamp": "offered_at offer_time explained_at start_time started_at begin_time 讲解时间 "
        f"讲解开始时间 开始讲解时间 上架时间 开始时间 {OTHER_NAMES['timestamp']}",
    },
}
# In orders and offers, the names of a place that sells: beside a name of what was sold they mean
# the source, and alone they mean the item, as in a log of gifts.
PLACES_OF_SALE = (
    "live_id room_id stream_id video_id video 直播间id 直播id 视频id 视频编号 作品id 直播间 直播 "
    "视频 作品"
)
