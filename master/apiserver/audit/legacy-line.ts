import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { AuditEvent } from "./record.ts";

interface Fields {
  readonly auditID: string;
  readonly stage: string;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: { readonly username?: string; readonly groups?: readonly string[] };
  readonly impersonatedUser?: { readonly username?: string; readonly groups?: readonly string[] };
  readonly sourceIPs: readonly string[];
  readonly userAgent?: string;
  readonly objectRef?: { readonly namespace?: string };
  readonly responseStatus?: { readonly code?: number };
  readonly stageTimestamp: string;
}

/** One line of upstream's `--audit-log-format=legacy`. */
export function legacyLine({ value }: AuditEvent): string {
  const event = value as unknown as Fields;
  const { user, impersonatedUser: as } = event;
  const groups = (of: readonly string[] | undefined): string =>
    of?.length ? of.map(goQuote).join(",") : goQuote("<none>");
  const asName = as?.username ?? "<self>";
  const asGroups = as ? groups(as.groups) : goQuote("<lookup>");
  const code = event.responseStatus?.code ?? "<deferred>";
  const namespace = event.objectRef?.namespace || "<none>";
  const fields: [string, string][] = [
    ["id", goQuote(event.auditID)],
    ["stage", goQuote(event.stage)],
    ["ip", goQuote(event.sourceIPs[0] ?? "<unknown>")],
    ["method", goQuote(event.verb)],
    ["user", goQuote(user.username || "<none>")],
    ["groups", groups(user.groups)],
    ["as", goQuote(asName)],
    ["asgroups", asGroups],
    ["user-agent", goQuote(event.userAgent ?? "")],
    ["namespace", goQuote(namespace)],
    ["uri", goQuote(event.requestURI)],
    ["response", goQuote(String(code))],
  ];
  return `${event.stageTimestamp} AUDIT: ${fields.map(([name, text]) => `${name}=${text}`).join(" ")}`;
}
