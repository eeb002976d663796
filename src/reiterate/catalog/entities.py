"""The entities of a project: campaigns, templates, channels, message types, lists and their users, metadata."""

from __future__ import annotations

from itertools import product

from reiterate.catalog.model import DOCS, ByFields, Field, KeyedValues, Listing, ListMembers, Table, Type, Wire

_ID = Field("id", Type.BIGINT, "Iterable's id.")
_CREATED_AT = Field("createdAt", Type.TIMESTAMP, "When it was created.", Wire.EPOCH_MS)
_UPDATED_AT = Field("updatedAt", Type.TIMESTAMP, "When it was last changed.", Wire.EPOCH_MS)
_TEMPLATE_TYPES = ("Base", "Blast", "Triggered", "Workflow")
_TEMPLATE_MEDIA = ("Email", "Push", "InApp", "SMS")
_LISTS = Listing(path="/api/lists", rows="lists")

ENTITIES = (
    Table(
        name="campaigns",
        about="One row per campaign, as it is now; a state may change without updated_at moving.",
        key=("id",),
        identity=ByFields(("id",)),
        cursor="updatedAt",
        read=Listing(path="/api/campaigns", rows="campaigns", total="totalCampaignsCount"),
        docs=f"{DOCS}#campaigns_campaigns",
        fields=(
            _ID,
            Field("name", Type.TEXT),
            Field("type", Type.TEXT, "Blast or Triggered."),
            Field("campaignState", Type.TEXT, "Draft, Scheduled, Running, Finished, Recurring, Archived and others."),
            Field("messageMedium", Type.TEXT, "Email, Push, SMS, InApp and others."),
            _CREATED_AT,
            Field(
                "updatedAt", Type.TIMESTAMP, "When it was last edited; not every change of state counts.", Wire.EPOCH_MS
            ),
            Field("startAt", Type.TIMESTAMP, "When sending starts or started.", Wire.EPOCH_MS),
            Field("endedAt", Type.TIMESTAMP, "When sending ended.", Wire.EPOCH_MS),
            Field("templateId", Type.BIGINT, "The template; joins to templates.template_id."),
            Field("createdByUserId", Type.TEXT, "Email address of the person who created it."),
            Field("updatedByUserId", Type.TEXT, "Email address of the person who changed it last."),
            Field("listIds", Type.JSON, "Lists it is sent to; joins to lists.id."),
            Field("suppressionListIds", Type.JSON, "Lists it is not sent to."),
            Field("sendSize", Type.DOUBLE, "Number of recipients; Iterable writes 18240 as well as 18240.0."),
            Field("labels", Type.JSON),
            Field("labelIds", Type.JSON),
            Field("recurringCampaignId", Type.BIGINT, "The recurring campaign that this one is a run of."),
            Field("workflowId", Type.BIGINT, "The journey that sends it."),
        ),
    ),
    Table(
        name="channels",
        about="One row per message channel.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(path="/api/channels", rows="channels"),
        docs=f"{DOCS}#channels_channels",
        fields=(
            _ID,
            Field("name", Type.TEXT),
            Field("channelType", Type.TEXT, "Marketing or Transactional."),
            Field("messageMedium", Type.TEXT, "Email, Push, SMS, InApp, WebPush and others."),
        ),
    ),
    Table(
        name="lists",
        about="One row per list.",
        key=("id",),
        identity=ByFields(("id",)),
        read=_LISTS,
        docs=f"{DOCS}#lists_getLists",
        fields=(
            _ID,
            Field("name", Type.TEXT),
            Field("description", Type.TEXT),
            _CREATED_AT,
            Field("listType", Type.TEXT, "Standard, Dynamic, Suppression or Internal."),
            Field("isGlobalSuppressionEnabled", Type.BOOLEAN, "On suppression lists only."),
        ),
    ),
    Table(
        name="list_users",
        about="One row per user on a list, as the lists are now.",
        key=("email", "listId"),
        identity=ByFields(("listId", "email", "userId")),
        read=ListMembers(path="/api/lists/getUsers", parameter="listId", parents=_LISTS),
        docs=f"{DOCS}#lists_getUsers",
        fields=(
            Field("email", Type.TEXT, "The user; null in projects whose lists give user ids."),
            Field("listId", Type.BIGINT, "The list; joins to lists.id."),
            Field("userId", Type.TEXT, "The user, in projects whose lists give user ids."),
        ),
    ),
    Table(
        name="message_types",
        about="One row per message type.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(path="/api/messageTypes", rows="messageTypes"),
        docs=f"{DOCS}#messageTypes_messageTypes",
        fields=(
            _ID,
            Field("name", Type.TEXT),
            Field("channelId", Type.BIGINT, "The channel; joins to channels.id."),
            _CREATED_AT,
            _UPDATED_AT,
            Field("subscriptionPolicy", Type.TEXT, "OptIn or OptOut."),
            Field("frequencyCap", Type.JSON, "How many messages in how many days a user may get."),
            Field("rateLimitPerMinute", Type.BIGINT),
        ),
    ),
    Table(
        name="metadata",
        about="One row per key of the project's metadata tables, with its value.",
        key=("table", "key"),
        identity=ByFields(("table", "key")),
        read=KeyedValues(path="/api/metadata"),
        docs=f"{DOCS}#metadata_get",
        fields=(
            Field("table", Type.TEXT, "The metadata table; its name is not case-sensitive in Iterable."),
            Field("key", Type.TEXT, "Case-sensitive; one key may stand in several tables."),
            Field("size", Type.BIGINT, "Size of the value, in bytes."),
            Field("lastModified", Type.TIMESTAMP, "When the value was last changed.", Wire.EPOCH_MS),
            Field("value", Type.JSON),
        ),
    ),
    Table(
        name="templates",
        about="One row per template, as it is now; without its content.",
        key=("templateId",),
        identity=ByFields(("templateId",)),
        cursor="updatedAt",
        read=Listing(
            path="/api/templates",
            rows="templates",
            total="totalTemplatesCount",
            id="templateId",
            # FACTS.md 12: only a call for each type and medium sees them all, and only the call tells which they are
            calls=tuple(
                (("templateType", template_type), ("messageMedium", medium))
                for template_type, medium in product(_TEMPLATE_TYPES, _TEMPLATE_MEDIA)
            ),
        ),
        docs=f"{DOCS}#templates_getTemplates",
        fields=(
            Field("templateId", Type.BIGINT, "Iterable's id."),
            _CREATED_AT,
            _UPDATED_AT,
            Field("name", Type.TEXT),
            Field("creatorUserId", Type.TEXT, "Email address of the person who created it."),
            Field("messageTypeId", Type.BIGINT, "The message type; joins to message_types.id."),
            Field("campaignId", Type.BIGINT, "The campaign it belongs to; absent on base templates."),
            Field("clientTemplateId", Type.TEXT, "The customer's own id of the template."),
            Field("templateType", Type.TEXT, "Base, Blast, Triggered or Workflow."),
            Field("messageMedium", Type.TEXT, "Email, Push, InApp or SMS."),
        ),
    ),
)
