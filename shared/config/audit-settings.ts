import { choice, integer, seconds, text, under } from "./option.ts";

const upTo = (max: number): { min: number; max: number } => ({ min: 0, max });

/** Which requests are recorded, and where to: upstream's flags. */
export const auditOptions = under("Record of requests (audit):", {
  auditPolicyFile: text("audit-policy-file", "FILE", "Policy (audit.k8s.io/v1): which requests are recorded", ""),
  auditLogPath: text("audit-log-path", "FILE", "where they are recorded; - for standard output", ""),
  auditLogFormat: choice("audit-log-format", "as JSON, or as upstream's old lines", ["json", "legacy"], "json"),
  auditLogMaxsize: integer("audit-log-maxsize", "MB", "size at which that file is put aside; 0: 100", 0, upTo(100_000)),
  auditLogMaxage: integer(
    "audit-log-maxage",
    "DAYS",
    "age at which an older file is removed; 0: never",
    0,
    upTo(36_500),
  ),
  auditLogMaxbackup: integer("audit-log-maxbackup", "N", "how many older files are kept; 0: all", 0, upTo(10_000)),
  auditLogBatchMaxWait: seconds(
    "audit-log-batch-max-wait",
    "how long events are gathered before a write, which spares the card; a crash loses them. 0: each at once",
    10,
    upTo(3600),
  ),
  auditLogBatchMaxSize: integer(
    "audit-log-batch-max-size",
    "N",
    "events that are written together",
    400,
    upTo(100_000),
  ),
  auditLogBatchBufferSize: integer(
    "audit-log-batch-buffer-size",
    "N",
    "events that may wait to be written; more are lost",
    10_000,
    upTo(1_000_000),
  ),
  auditWebhookConfigFile: text(
    "audit-webhook-config-file",
    "FILE",
    "kubeconfig of a collector that events are sent to",
    "",
  ),
  auditWebhookBatchMaxWait: seconds(
    "audit-webhook-batch-max-wait",
    "how long events are gathered before they are sent",
    30,
    upTo(3600),
  ),
  auditWebhookBatchMaxSize: integer(
    "audit-webhook-batch-max-size",
    "N",
    "events that are sent together",
    400,
    upTo(100_000),
  ),
  auditWebhookBatchBufferSize: integer(
    "audit-webhook-batch-buffer-size",
    "N",
    "events that may wait to be sent; more are lost",
    10_000,
    upTo(1_000_000),
  ),
  auditWebhookInitialBackoff: seconds(
    "audit-webhook-initial-backoff",
    "pause before events that could not be sent are sent again",
    10,
    upTo(3600),
  ),
} as const);
