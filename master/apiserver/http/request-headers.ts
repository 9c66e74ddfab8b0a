import { headerText, type IdentityHeaders } from "../authn/identity-headers.ts";
import type { ApiRequest } from "../server-parts.ts";
import { impersonationPrefix, repeatedHeaderSeparator } from "./access.ts";
import type { HttpRequest } from "./arrival.ts";

type Headers = Pick<HttpRequest, "headers" | "rawHeaders">;

/** What is said once: upstream looks at no further header of the name. */
const onlyFirst: ReadonlySet<string> = new Set(["accept", "accept-encoding", "audit-id"]);
const onlyFirstUser: ReadonlySet<string> = new Set([`${impersonationPrefix}user`, `${impersonationPrefix}uid`]);

/** Each header as one text, without those that say whose the request is. */
export function headersOf(request: Headers, identity: IdentityHeaders): ApiRequest["headers"] {
  const headers: Record<string, string | undefined> = {};
  for (const name in request.headers) {
    if (identity.has(name)) continue;
    headers[name] = textOf(request, name);
  }
  return headers;
}

function textOf(request: Headers, name: string): string | undefined {
  if (onlyFirstUser.has(name)) return headerText(firstValue(request, name) ?? "");
  if (name.startsWith(impersonationPrefix))
    return rawValues(request, name).map(headerText).join(repeatedHeaderSeparator);
  if (onlyFirst.has(name)) return firstValue(request, name);
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** Of a header that may come several times. */
function firstValue({ rawHeaders }: Headers, name: string): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const given = rawHeaders[at] ?? "";
    if (given.length === name.length && given.toLowerCase() === name) return rawHeaders[at + 1];
  }
  return undefined;
}

/** Of a header that may come several times, and whose values may hold commas. */
function rawValues({ rawHeaders }: Headers, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}

/** Takes what says whose a request is out of it, for all who see it from now on: whoever is behind this server would believe it. */
export function dropIdentity({ headers, rawHeaders }: Headers, identity: IdentityHeaders): void {
  let isThere = false;
  for (const name in headers) {
    if (!identity.has(name)) continue;
    isThere = true;
    delete headers[name];
  }
  if (!isThere) return;
  const kept = rawHeaders.filter((_, index) => !identity.has((rawHeaders[index - (index % 2)] ?? "").toLowerCase()));
  (rawHeaders as string[]).splice(0, rawHeaders.length, ...kept);
}
