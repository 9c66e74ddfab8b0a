/** Records requests to a policy: as lines of a file, and by batches to a collector (upstream's audit log and webhook). */
import type { Log } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { User } from "../request.ts";
import { auditErrors, auditedEvents, auditLevels } from "./audit-metrics.ts";
import { type BatchOptions, EventBatch } from "./batch.ts";
import { legacyLine } from "./legacy-line.ts";
import { RotatingLog } from "./log-file.ts";
import { judge, type Policy, readPolicy } from "./policy.ts";
import { type AuditEvent, type AuditedRequest, AuditRecord } from "./record.ts";
import { webhookSender } from "./webhook.ts";

/** Where events go, already in their text. */
export interface AuditBackend {
  readonly render: (event: AuditEvent) => string;
  readonly batch: EventBatch;
}

const nobody: User = { name: "", groups: [] };

export class Auditor {
  readonly #policy: Policy;
  readonly #backends: readonly AuditBackend[];

  constructor(policy: Policy, backends: readonly AuditBackend[]) {
    this.#policy = policy;
    this.#backends = backends;
  }

  /** A record of a request that has come; undefined where the policy wants none. Without a user it has not authenticated. */
  begin(request: AuditedRequest, user: User | undefined, auditId: string): AuditRecord | undefined {
    const verdict = judge(this.#policy, user ?? nobody, request.info);
    auditLevels.add([verdict.level]);
    if (verdict.level === "None") return undefined;
    const record = new AuditRecord(request, user, auditId, verdict, (event) => this.#write(event));
    if (user) record.received();
    return record;
  }

  #write(event: AuditEvent): void {
    auditedEvents.add();
    for (const { render, batch } of this.#backends) batch.add(render(event));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#backends.map(({ batch }) => batch.flush()));
  }
}

/** The id that a client sent, or a new one. */
export function auditIdOf(headers: Readonly<Record<string, string | undefined>>): string {
  const given = headers["audit-id"] ?? "";
  return given === "" ? crypto.randomUUID() : given;
}

/** By the flags; undefined where nothing is to be recorded. Throws ConfigError. */
export function auditorOf(settings: MasterSettings, log: Log): Auditor | undefined {
  const { auditPolicyFile, auditLogPath, auditWebhookConfigFile } = settings;
  if (auditLogPath === "" && auditWebhookConfigFile === "") {
    if (auditPolicyFile !== "")
      throw new ConfigError("audit-policy-file: needs audit-log-path or audit-webhook-config-file to record to");
    return undefined;
  }
  // As upstream: without a policy nothing is recorded.
  if (auditPolicyFile === "") {
    log.warn("nothing is audited: audit-policy-file is not given");
    return undefined;
  }
  const lossOf =
    (plugin: string) =>
    (message: string, events: number): void => {
      auditErrors.add([plugin], events);
      log.error(message);
    };
  const backends: AuditBackend[] = [];
  if (auditLogPath !== "") backends.push(logBackend(settings, lossOf("log")));
  if (auditWebhookConfigFile !== "") backends.push(webhookBackend(settings, lossOf("webhook")));
  return new Auditor(readPolicy(auditPolicyFile), backends);
}

const BUFFER_BYTES = 16 * 1024 * 1024;
const asJson = ({ value }: AuditEvent): string => JSON.stringify(value);

type OnLoss = BatchOptions["onLoss"];

function logBackend(settings: MasterSettings, onLoss: OnLoss): AuditBackend {
  const file = new RotatingLog({
    path: settings.auditLogPath,
    maxSize_MB: settings.auditLogMaxsize,
    maxAge_days: settings.auditLogMaxage,
    maxBackups: settings.auditLogMaxbackup,
  });
  const batch = new EventBatch({
    maxWait_ms: settings.auditLogBatchMaxWait * 1000,
    maxEvents: settings.auditLogBatchMaxSize,
    bufferEvents: settings.auditLogBatchBufferSize,
    bufferBytes: BUFFER_BYTES,
    send: (lines) => file.write(lines),
    onLoss,
  });
  return { render: settings.auditLogFormat === "legacy" ? legacyLine : asJson, batch };
}

function webhookBackend(settings: MasterSettings, onLoss: OnLoss): AuditBackend {
  const batch = new EventBatch({
    maxWait_ms: settings.auditWebhookBatchMaxWait * 1000,
    maxEvents: settings.auditWebhookBatchMaxSize,
    bufferEvents: settings.auditWebhookBatchBufferSize,
    bufferBytes: BUFFER_BYTES,
    send: webhookSender(settings.auditWebhookConfigFile, settings.auditWebhookInitialBackoff * 1000),
    onLoss,
  });
  return { render: asJson, batch };
}
