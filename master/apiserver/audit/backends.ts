/** The file and the collector that events go to, by the settings. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { AuditMode } from "#shared/config/audit-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { type Rate, TokenBucket } from "#shared/process/token-bucket.ts";
import { type BatchOptions, EventBatch } from "./batch.ts";
import { legacyLine } from "./legacy-line.ts";
import { RotatingLog } from "./log-file.ts";
import type { AuditEvent } from "./record.ts";
import { truncated } from "./truncation.ts";
import { webhookSender } from "./webhook.ts";

/** Where events go. */
export interface AuditBackend {
  readonly mode: AuditMode;
  /** An event's text; undefined where it cannot be recorded, which was told of. */
  readonly render: (event: AuditEvent) => string | undefined;
  readonly batch: EventBatch;
  /** The process ends: what cannot be recorded soon is lost. */
  readonly hurry?: (() => void) | undefined;
}

export interface BackendReports {
  /** Told of events that cannot be recorded, with who lost them by upstream's name. */
  readonly onLoss: (plugin: string, events: number, why: string) => void;
  /** Told of what else goes wrong. */
  readonly report: (message: string) => void;
}

interface BackendSettings {
  readonly plugin: "log" | "webhook";
  readonly mode: AuditMode;
  readonly maxWait_s: number;
  readonly maxEvents: number;
  readonly bufferEvents: number;
  readonly isThrottled: boolean;
  readonly throttle: Rate;
  readonly isTruncated: boolean;
  readonly maxEvent_bytes: number;
  readonly maxBatch_bytes: number;
}

const BUFFER_BYTES = 16 * 1024 * 1024;
/** Where requests wait: what came while others were written goes together. */
const AWAITED_TOGETHER = 400;
const AWAITED_EVENTS = 10_000;
const asJson = ({ value }: AuditEvent): string => JSON.stringify(value);

/** Throws ConfigError. */
export function auditBackends(settings: MasterSettings, reports: BackendReports): AuditBackend[] {
  const { auditLogPath, auditWebhookConfigFile } = settings;
  return [
    ...(auditLogPath === "" ? [] : [logBackend(settings, reports)]),
    ...(auditWebhookConfigFile === "" ? [] : [webhookBackend(settings, reports)]),
  ];
}

function logBackend(settings: MasterSettings, reports: BackendReports): AuditBackend {
  const given: BackendSettings = {
    plugin: "log",
    mode: settings.auditLogMode,
    maxWait_s: settings.auditLogBatchMaxWait,
    maxEvents: settings.auditLogBatchMaxSize,
    bufferEvents: settings.auditLogBatchBufferSize,
    isThrottled: settings.auditLogBatchThrottleEnable,
    throttle: { perSecond: settings.auditLogBatchThrottleQps, burst: settings.auditLogBatchThrottleBurst },
    isTruncated: settings.auditLogTruncateEnabled,
    maxEvent_bytes: settings.auditLogTruncateMaxEventSize,
    maxBatch_bytes: settings.auditLogTruncateMaxBatchSize,
  };
  assertPossible(given);
  const path = settings.auditLogPath;
  if (path !== "-") ensureLogFile(path);
  const file = new RotatingLog({
    path,
    maxSize_MB: settings.auditLogMaxsize,
    maxAge_days: settings.auditLogMaxage,
    maxBackups: settings.auditLogMaxbackup,
    compresses: settings.auditLogCompress,
    report: reports.report,
  });
  const render = settings.auditLogFormat === "legacy" ? legacyLine : asJson;
  return backendOf(given, render, (lines) => file.write(lines), reports);
}

function webhookBackend(settings: MasterSettings, reports: BackendReports): AuditBackend {
  const given: BackendSettings = {
    plugin: "webhook",
    mode: settings.auditWebhookMode,
    maxWait_s: settings.auditWebhookBatchMaxWait,
    maxEvents: settings.auditWebhookBatchMaxSize,
    bufferEvents: settings.auditWebhookBatchBufferSize,
    isThrottled: settings.auditWebhookBatchThrottleEnable,
    throttle: { perSecond: settings.auditWebhookBatchThrottleQps, burst: settings.auditWebhookBatchThrottleBurst },
    isTruncated: settings.auditWebhookTruncateEnabled,
    maxEvent_bytes: settings.auditWebhookTruncateMaxEventSize,
    maxBatch_bytes: settings.auditWebhookTruncateMaxBatchSize,
  };
  assertPossible(given);
  const backoff_s = settings.auditWebhookBatchInitialBackoff ?? settings.auditWebhookInitialBackoff;
  const ending = new AbortController();
  const send = webhookSender(settings.auditWebhookConfigFile, backoff_s * 1000, ending.signal);
  return { ...backendOf(given, asJson, send, reports), hurry: () => ending.abort() };
}

function backendOf(
  given: BackendSettings,
  write: (event: AuditEvent) => string,
  send: BatchOptions["send"],
  { onLoss }: BackendReports,
): AuditBackend {
  const { plugin, mode, isTruncated, maxEvent_bytes } = given;
  const isBatching = mode === "batch";
  const batch = new EventBatch({
    maxWait_ms: given.maxWait_s * 1000,
    maxEvents: isBatching ? given.maxEvents : AWAITED_TOGETHER,
    maxBytes: isTruncated ? given.maxBatch_bytes : undefined,
    bufferEvents: isBatching ? given.bufferEvents : AWAITED_EVENTS,
    bufferBytes: BUFFER_BYTES,
    throttle: isBatching && given.isThrottled ? new TokenBucket(given.throttle) : undefined,
    send,
    onLoss: ({ events, why, isForRoom }) => onLoss(isForRoom ? "buffered" : plugin, events, why),
  });
  const render = (event: AuditEvent): string | undefined => {
    const small = truncated(event, maxEvent_bytes);
    if (!small) onLoss("truncate", 1, "event is too large even after truncating");
    return small && write(small);
  };
  return { mode, batch, render: isTruncated ? render : write };
}

/** Throws ConfigError, worded as upstream. */
function assertPossible(given: BackendSettings): void {
  const { plugin, mode, isThrottled, throttle, maxEvent_bytes, maxBatch_bytes } = given;
  const refuse = (what: string, value: number): never => {
    throw new ConfigError(`invalid audit ${what} ${value}, must be a positive number`);
  };
  if (mode === "batch") {
    if (given.bufferEvents <= 0) refuse(`batch ${plugin} buffer size`, given.bufferEvents);
    if (given.maxEvents <= 0) refuse(`batch ${plugin} max batch size`, given.maxEvents);
    if (isThrottled && throttle.perSecond <= 0) refuse(`batch ${plugin} throttle QPS`, throttle.perSecond);
    if (isThrottled && throttle.burst <= 0) refuse(`batch ${plugin} throttle burst`, throttle.burst);
  }
  if (maxEvent_bytes <= 0) refuse(`truncate ${plugin} max event size`, maxEvent_bytes);
  if (maxBatch_bytes < maxEvent_bytes)
    throw new ConfigError(
      `invalid audit truncate ${plugin} max batch size ${maxBatch_bytes}, must be greater than max event size (${maxEvent_bytes})`,
    );
}

/** That nothing can be written there is said before anything runs. Throws ConfigError. */
function ensureLogFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
  } catch (error) {
    throw new ConfigError(`audit-log-path: ${messageOf(error)}`);
  }
}
