"""Column names, written once, and the other names under which they arrive."""

USER_ID = "user_id"
ITEM_ID = "item_id"
TIMESTAMP = "timestamp"

# events
WATCH_TIME = "watch_time"
DURATION = "duration"
LIKE_COUNT = "like_count"
COMMENT_COUNT = "comment_count"
SHARE_COUNT = "share_count"
QUESTION_COUNT = "question_count"
PROGRESS = "progress"
RATING = "rating"
SOURCE_ITEM_ID = "source_item_id"
SESSION_ID = "session_id"

# items
KIND = "kind"
TITLE = "title"
DESCRIPTION = "description"
CATEGORY = "category"
BRAND = "brand"
HOST = "host"
PRICE = "price"
PUBLISHED_AT = "published_at"
PROMOTES = "promotes"
REVIEWED = "reviewed"
AUTHOR_VERIFIED = "author_verified"

# users
AGE = "age"
GENDER = "gender"
OCCUPATION = "occupation"
CONSENT = "consent"

# orders
AMOUNT = "amount"
REFUND_AMOUNT = "refund_amount"
REFUNDED_AT = "refunded_at"

# exposures
POSITION = "position"
PROPENSITY = "propensity"
TREATMENT = "treatment"
POLICY = "policy"
CLICKED = "clicked"
PURCHASED = "purchased"

KINDS = ("course", "report", "book", "live", "short_video", "other")

ALIASES = {
    "content_id": ITEM_ID,
    "course_id": ITEM_ID,
    "video_id": ITEM_ID,
    "内容": ITEM_ID,
    "课程": ITEM_ID,
    "uid": USER_ID,
    "用户": USER_ID,
    "时间": TIMESTAMP,
    "time": TIMESTAMP,
    "datetime": TIMESTAMP,
    "观看时长": WATCH_TIME,
    "play_time": WATCH_TIME,
    "点赞": LIKE_COUNT,
    "likes": LIKE_COUNT,
    "评论": COMMENT_COUNT,
    "comments": COMMENT_COUNT,
    "purchase": PURCHASED,
}
