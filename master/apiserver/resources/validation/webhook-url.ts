/** URLs of webhooks: https, with a host and no more than a path. Taken apart as net/url of Go does. */
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { Field } from "./field.ts";

const form = "; desired format: https://host[/path]";

export function validateWebhookUrl(text: string, field: Field): void {
  const url = parsed(text);
  if (url instanceof UrlFault) {
    field.required(`url must be a valid URL: parse ${goQuote(url.shown)}: ${url.why}${form}`);
    return;
  }
  if (url.scheme !== "https") field.invalid(url.scheme, `'https' is the only allowed URL scheme${form}`);
  if (url.host === "") field.invalid("", `host must be specified${form}`);
  if (url.user !== undefined) field.invalid(url.user, "user information is not permitted in the URL");
  if (url.fragment !== "") field.invalid(url.fragment, "fragments are not permitted in the URL");
  if (url.query !== "") field.invalid(url.query, "query parameters are not permitted in the URL");
}

interface Parts {
  readonly scheme: string;
  /** undefined: none is given. */
  readonly user?: string | undefined;
  readonly host: string;
  readonly query: string;
  readonly fragment: string;
}

class UrlFault {
  constructor(
    readonly why: string,
    /** The URL, but for its fragment where that is not to blame. */
    readonly shown: string,
  ) {}
}

function parsed(text: string): Parts | UrlFault {
  const [url = "", fragment = ""] = cut(text, "#");
  const fault = (why: string): UrlFault => new UrlFault(why, url);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for.
  if (/[\u0000-\u001f\u007f]/.test(url)) return fault("net/url: invalid control character in URL");
  if (url.startsWith(":")) return fault("missing protocol scheme");
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url)?.[1] ?? "";
  const [rest = "", query = ""] = cut(scheme === "" ? url : url.slice(scheme.length + 1), "?");
  const parts = { scheme: scheme.toLowerCase(), host: "", query, fragment };
  if (!rest.startsWith("/")) {
    if (scheme !== "") return parts;
    if (rest.split("/", 1)[0]?.includes(":")) return fault("first path segment in URL cannot contain colon");
  }
  const hasAuthority = rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"));
  const [authority = ""] = hasAuthority ? cut(rest.slice(2), "/") : [];
  const at = authority.lastIndexOf("@");
  const host = authority.slice(at + 1);
  const ofFragment = escapeFault(fragment);
  const path = hasAuthority ? rest.slice(2 + authority.length) : rest;
  const why = hostFault(host) ?? userFault(authority.slice(0, Math.max(at, 0))) ?? escapeFault(path);
  if (why !== undefined) return fault(why);
  if (ofFragment !== undefined) return new UrlFault(ofFragment, text);
  return { ...parts, host, ...(at >= 0 && { user: authority.slice(0, at).replaceAll("@", "%40") }) };
}

/** What stands before and behind the first of a mark. */
function cut(text: string, mark: string): readonly string[] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function hostFault(host: string): string | undefined {
  const end = host.lastIndexOf("]");
  if (host.startsWith("[") && end < 0) return "missing ']' in host";
  const port = host.startsWith("[") ? host.slice(end + 1) : (/:[^:]*$/.exec(host)?.[0] ?? "");
  if (!/^(:\d*)?$/.test(port)) return `invalid port ${goQuote(port)} after host`;
  // Of ASCII only what a host may have is written as it is, and none of it may be escaped.
  const [odd] = /%(?![89a-f][\da-f]|25).{0,2}|[^\u0080-\uffff\w.~!$&'()*+,;=:[\]<>"%-]/i.exec(host) ?? [];
  if (odd === undefined) return undefined;
  return odd.startsWith("%") ? `invalid URL escape ${goQuote(odd)}` : `invalid character ${goQuote(odd)} in host name`;
}

const userFault = (user: string): string | undefined =>
  /^[\w.:~!$&'()*+,;=%@-]*$/.test(user) ? escapeFault(user) : "net/url: invalid userinfo";

function escapeFault(text: string): string | undefined {
  const [odd] = /%(?![\da-f]{2}).{0,2}/i.exec(text) ?? [];
  return odd === undefined ? undefined : `invalid URL escape ${goQuote(odd)}`;
}
