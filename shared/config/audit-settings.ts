/** Which requests are recorded, and where to: upstream's flags. */
import { choice, decimal, integer, type Option, optionalSeconds, seconds, text, toggle, under } from "./option.ts";

const upTo = (max: number): { min: number; max: number } => ({ min: 0, max });

type Plugin = "log" | "webhook";

/** Whether requests wait for what is recorded of them: not at all, or until it is written, or until then and for nothing where it
 *  cannot be. */
export const auditModes = ["batch", "blocking", "blocking-strict"] as const;
export type AuditMode = (typeof auditModes)[number];

const mode = (plugin: Plugin, what: string): Option<AuditMode> =>
  choice(
    `audit-${plugin}-mode`,
    `batch: events are gathered, and no request waits; blocking: a request waits until its own ${what}; blocking-strict: and fails where it cannot be`,
    auditModes,
    "batch",
  );

const batchMaxSize = (plugin: Plugin, done: string): Option<number> =>
  integer(`audit-${plugin}-batch-max-size`, "N", `events that are ${done} together`, 400, upTo(100_000));

const batchBufferSize = (plugin: Plugin, done: string): Option<number> =>
  integer(
    `audit-${plugin}-batch-buffer-size`,
    "N",
    `events that may wait to be ${done}; more are lost`,
    10_000,
    upTo(1_000_000),
  );

const throttle = (plugin: Plugin, isOn: boolean): Option<boolean> =>
  toggle(`audit-${plugin}-batch-throttle-enable`, "hold batches to a rate", isOn);

const throttleQps = (plugin: Plugin, fallback: number): Option<number> =>
  decimal(`audit-${plugin}-batch-throttle-qps`, "N", "batches a second then", fallback, upTo(1_000_000));

const throttleBurst = (plugin: Plugin, fallback: number): Option<number> =>
  integer(`audit-${plugin}-batch-throttle-burst`, "N", "and so many at once after a pause", fallback, upTo(1_000_000));

const truncate = (plugin: Plugin): Option<boolean> =>
  toggle(`audit-${plugin}-truncate-enabled`, "leave bodies out of events that are too large", false);

const truncateEvent = (plugin: Plugin): Option<number> =>
  integer(
    `audit-${plugin}-truncate-max-event-size`,
    "BYTES",
    "events that are larger without their bodies too are lost then",
    100 * 1024,
    upTo(Number.MAX_SAFE_INTEGER),
  );

const truncateBatch = (plugin: Plugin, done: string): Option<number> =>
  integer(
    `audit-${plugin}-truncate-max-batch-size`,
    "BYTES",
    `no more than that is ${done} together then`,
    10 * 1024 * 1024,
    upTo(Number.MAX_SAFE_INTEGER),
  );

const version = (plugin: Plugin): Option<string> => ({
  ...choice(`audit-${plugin}-version`, "of its events; there is one", ["audit.k8s.io/v1"], "audit.k8s.io/v1"),
  placeholder: "VERSION",
});

const logOptions = {
  auditLogPath: text("audit-log-path", "FILE", "where they are recorded; - for standard output", ""),
  auditLogFormat: choice("audit-log-format", "as JSON, or as upstream's old lines", ["json", "legacy"], "json"),
  auditLogVersion: version("log"),
  auditLogMaxsize: integer("audit-log-maxsize", "MB", "size at which that file is put aside; 0: 100", 0, upTo(100_000)),
  auditLogMaxage: integer(
    "audit-log-maxage",
    "DAYS",
    "age at which an older file is removed; 0: never",
    0,
    upTo(36_500),
  ),
  auditLogMaxbackup: integer("audit-log-maxbackup", "N", "how many older files are kept; 0: all", 0, upTo(10_000)),
  auditLogCompress: toggle("audit-log-compress", "compress older files with gzip", false),
  auditLogMode: mode("log", "are written"),
  auditLogBatchMaxWait: seconds(
    "audit-log-batch-max-wait",
    "how long events are gathered before a write, which spares the card; a crash loses them. 0: each at once",
    10,
    upTo(3600),
  ),
  auditLogBatchMaxSize: batchMaxSize("log", "written"),
  auditLogBatchBufferSize: batchBufferSize("log", "written"),
  auditLogBatchThrottleEnable: throttle("log", false),
  auditLogBatchThrottleQps: throttleQps("log", 0),
  auditLogBatchThrottleBurst: throttleBurst("log", 0),
  auditLogTruncateEnabled: truncate("log"),
  auditLogTruncateMaxEventSize: truncateEvent("log"),
  auditLogTruncateMaxBatchSize: truncateBatch("log", "written"),
} as const;

const webhookOptions = {
  auditWebhookConfigFile: text(
    "audit-webhook-config-file",
    "FILE",
    "kubeconfig of a collector that events are sent to",
    "",
  ),
  auditWebhookVersion: version("webhook"),
  auditWebhookMode: mode("webhook", "have been taken"),
  auditWebhookBatchMaxWait: seconds(
    "audit-webhook-batch-max-wait",
    "how long events are gathered before they are sent",
    30,
    upTo(3600),
  ),
  auditWebhookBatchMaxSize: batchMaxSize("webhook", "sent"),
  auditWebhookBatchBufferSize: batchBufferSize("webhook", "sent"),
  auditWebhookBatchThrottleEnable: throttle("webhook", true),
  auditWebhookBatchThrottleQps: throttleQps("webhook", 10),
  auditWebhookBatchThrottleBurst: throttleBurst("webhook", 15),
  auditWebhookTruncateEnabled: truncate("webhook"),
  auditWebhookTruncateMaxEventSize: truncateEvent("webhook"),
  auditWebhookTruncateMaxBatchSize: truncateBatch("webhook", "sent"),
  auditWebhookInitialBackoff: seconds(
    "audit-webhook-initial-backoff",
    "pause before events that could not be sent are sent again",
    10,
    upTo(3600),
  ),
  auditWebhookBatchInitialBackoff: optionalSeconds("audit-webhook-batch-initial-backoff", "its old name", upTo(3600)),
} as const;

export const auditOptions = under("Record of requests (audit):", {
  auditPolicyFile: text("audit-policy-file", "FILE", "Policy (audit.k8s.io/v1): which requests are recorded", ""),
  ...logOptions,
  ...webhookOptions,
} as const);
