"""The columns of each table, the values of ``kind``, and the other names columns may have.

``part`` is train or test: it says where an event belongs if the log comes with a split of its own.
"""

REQUIRED = {
    "events": "user_id item_id",
    "items": "item_id",
    "users": "user_id",
    "orders": "user_id item_id timestamp amount",
    "exposures": "user_id item_id timestamp",
}
OPTIONAL = {
    "events": "timestamp watch_time duration like_count comment_count share_count question_count "
    "progress rating source_item_id session_id part",
    "items": "kind title description category brand host price duration published_at promotes "
    "reviewed author_verified",
    "users": "age gender occupation consent",  # any further column is kept
    "orders": "refund_amount refunded_at",
    "exposures": "position propensity treatment policy clicked purchased",
}

# How the events of one (user, item) pair become one row: these columns are summed, of those
# the largest value is taken. Every engine follows it.
SUMMED = ("watch_time", "like_count", "comment_count", "share_count", "question_count", "rating")
LARGEST = ("duration", "progress")

ITEM_KINDS = ("course", "report", "book", "live", "short_video", "other")

_OTHER_NAMES = {
    "item_id": "content_id course_id video_id 内容 课程",
    "user_id": "uid 用户",
    "timestamp": "时间 time datetime",
    "watch_time": "观看时长 play_time",
    "like_count": "点赞 likes",
    "comment_count": "评论 comments",
    "purchased": "purchase",
}
# from a name that a file may use to ours
ALIASES = {other: name for name, others in _OTHER_NAMES.items() for other in others.split()}
