/** Records requests to a policy: as lines of a file, and by batches to a collector (upstream's audit log and webhook). */
import type { Log } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { User } from "../request.ts";
import { auditErrors, auditedEvents, auditLevels } from "./audit-metrics.ts";
import { type AuditBackend, auditBackends } from "./backends.ts";
import { judge, type Policy, readPolicy } from "./policy.ts";
import { type AuditEvent, type AuditedRequest, AuditRecord, type AuditSink, type Recorded } from "./record.ts";

const nobody: User = { name: "", groups: [] };

export class Auditor implements AuditSink {
  readonly isAwaited: boolean;
  readonly #policy: Policy;
  readonly #backends: readonly AuditBackend[];

  constructor(policy: Policy, backends: readonly AuditBackend[]) {
    this.#policy = policy;
    this.#backends = backends;
    this.isAwaited = backends.some(({ mode }) => mode !== "batch");
  }

  /** A record of a request that has come; undefined where the policy wants none. Without a user it has not authenticated. */
  begin(request: AuditedRequest, user: User | undefined, auditId: string): AuditRecord | undefined {
    const verdict = judge(this.#policy, user ?? nobody, request.info);
    auditLevels.add([verdict.level]);
    if (verdict.level === "None") return undefined;
    const record = new AuditRecord(request, user, auditId, verdict, this);
    if (user) record.received();
    return record;
  }

  write(event: AuditEvent): Recorded {
    auditedEvents.add();
    const awaited = this.#backends.flatMap((backend) => recordedBy(backend, event) ?? []);
    return awaited.length === 0 ? undefined : Promise.all(awaited).then((all) => all.every(Boolean));
  }

  async stop(): Promise<void> {
    for (const { hurry } of this.#backends) hurry?.();
    await Promise.all(this.#backends.map(({ batch }) => batch.flush()));
  }
}

function recordedBy({ mode, render, batch }: AuditBackend, event: AuditEvent): Recorded {
  const text = render(event);
  if (text === undefined) return undefined;
  switch (mode) {
    case "batch":
      batch.add(text);
      return undefined;
    case "blocking":
      return batch.write(text).then(() => true);
    case "blocking-strict":
      return batch.write(text);
    default:
      return mode satisfies never;
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
  const report = (message: string): void => log.error(message);
  const onLoss = (plugin: string, events: number, why: string): void => {
    auditErrors.add([plugin], events);
    report(`${events} audit events are lost: ${why}`);
  };
  return new Auditor(readPolicy(auditPolicyFile), auditBackends(settings, { onLoss, report }));
}
