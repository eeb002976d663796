"""The entities of a project: campaigns, channels, message types, journeys, and what else is set up once."""

from __future__ import annotations

from reiterate.catalog.model import DOCS, ByFields, Field, Listing, Pages, PerParent, Table, Type, Wire

ID = Field("id", Type.BIGINT, "Iterable's id.")
CREATED_AT = Field("createdAt", Type.TIMESTAMP, "When it was created.", Wire.EPOCH_MS)
UPDATED_AT = Field("updatedAt", Type.TIMESTAMP, "When it was last changed.", Wire.EPOCH_MS)

CAMPAIGNS = Listing(path="/api/campaigns", rows="campaigns", pages=Pages.LINKS, totals=("totalCampaignsCount",))

_CAMPAIGN = (
    ID,
    Field("name", Type.TEXT),
    Field("type", Type.TEXT, "Blast or Triggered."),
    Field("campaignState", Type.TEXT, "Draft, Scheduled, Running, Finished, Recurring, Archived and others."),
    Field("messageMedium", Type.TEXT, "Email, Push, SMS, InApp and others."),
    CREATED_AT,
    Field("updatedAt", Type.TIMESTAMP, "When it was last edited; not every change of state counts.", Wire.EPOCH_MS),
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
    Field("workflowId", Type.BIGINT, "The journey that sends it; joins to journeys.id."),
)

ENTITIES = (
    Table(
        name="campaigns",
        about="One row per campaign, as it is now; a state may change without updated_at moving.",
        key=("id",),
        identity=ByFields(("id",)),
        cursor="updatedAt",
        read=CAMPAIGNS,
        docs=f"{DOCS}#campaigns_campaigns",
        fields=_CAMPAIGN,
    ),
    Table(
        name="child_campaigns",
        about="One row per run of a recurring campaign, as it is now.",
        key=("id",),
        identity=ByFields(("id",)),
        read=PerParent(
            parents=CAMPAIGNS,
            listing=Listing(
                path="/api/campaigns/recurring/{}/childCampaigns",
                rows="campaigns",
                pages=Pages.LINKS,
                totals=("totalCampaignsCount",),
            ),
            field="recurringCampaignId",
            where=(("campaignState", "Recurring"),),
        ),
        docs=f"{DOCS}#campaigns_child_campaigns",
        fields=_CAMPAIGN,
    ),
    Table(
        name="channels",
        about="One row per message channel.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(path="/api/channels", rows="channels"),
        docs=f"{DOCS}#channels_channels",
        fields=(
            ID,
            Field("name", Type.TEXT),
            Field("channelType", Type.TEXT, "Marketing or Transactional."),
            Field("messageMedium", Type.TEXT, "Email, Push, SMS, InApp, WebPush and others."),
        ),
    ),
    Table(
        name="export_jobs",
        about="One row per export job that Iterable still lists, this program's own among them.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(path="/api/export/jobs", rows="jobs"),
        docs=f"{DOCS}#export_getExportJobs",
        may_shrink=True,  # Iterable forgets jobs
        fields=(
            ID,
            Field("dataTypeName", Type.TEXT, "What is exported, such as emailSend."),
            Field("jobState", Type.TEXT, "enqueued, running, completed, failed, cancelled and others."),
            Field("scheduledStartTime", Type.TIMESTAMP, "The earliest time that the job can start."),
            Field("endTime", Type.TIMESTAMP, "When the job completed or failed."),
            Field("bytesExported", Type.BIGINT),
        ),
    ),
    Table(
        name="journeys",
        about="One row per journey (workflow), archived ones too.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(
            path="/api/journeys",
            rows="journeys",
            pages=Pages.LINKS,
            totals=("totalJourneysCount",),
            page_size=50,
            # FACTS.md 13: archived ones come in a call of their own only
            calls=((), (("state", "Archived"),)),
        ),
        docs=f"{DOCS}#workflows_getJourneys",
        fields=(
            ID,
            Field("name", Type.TEXT),
            Field("description", Type.TEXT),
            Field("enabled", Type.BOOLEAN),
            Field("isArchived", Type.BOOLEAN),
            Field("state", Type.TEXT, "Archived, or null where it is not."),
            Field("journeyType", Type.TEXT, "Published or draft, as Iterable spells it."),
            Field("lifetimeLimit", Type.BIGINT, "How often a user may enter."),
            Field("simultaneousLimit", Type.BIGINT, "How often a user may be in it at a time."),
            Field("startTileId", Type.BIGINT, "The tile that it begins with."),
            Field("triggerEventNames", Type.JSON, "Names of the custom events that let users enter."),
            CREATED_AT,
            UPDATED_AT,
            Field("creatorUserId", Type.TEXT, "Email address of the person who created it."),
            Field("draft", Type.JSON, "The draft that will replace it."),
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
            ID,
            Field("name", Type.TEXT),
            Field("channelId", Type.BIGINT, "The channel; joins to channels.id."),
            CREATED_AT,
            UPDATED_AT,
            Field("subscriptionPolicy", Type.TEXT, "OptIn or OptOut."),
            Field("frequencyCap", Type.JSON, "How many messages in how many days a user may get."),
            Field("rateLimitPerMinute", Type.BIGINT),
        ),
    ),
    Table(
        name="webhooks",
        about="One row per system webhook; which events it is subscribed to, the API does not tell.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(path="/api/webhooks", rows="webhooks"),
        docs=f"{DOCS}#webhooks_getWebhooks",
        fields=(
            ID,
            Field("endpoint", Type.TEXT, "Where it calls."),
            Field("authType", Type.TEXT, "NoAuth, Basic or OAuth2."),
            Field("enabled", Type.BOOLEAN),
            Field("blastSendEnabled", Type.BOOLEAN, "Whether blast sends are reported."),
            Field("triggeredSendEnabled", Type.BOOLEAN, "Whether triggered sends are reported."),
            Field("channelIds", Type.JSON, "Channels that it is restricted to."),
            Field("messageTypeIds", Type.JSON, "Message types that it is restricted to."),
        ),
    ),
)
