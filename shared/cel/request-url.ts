/** URLs as Go's net/url (1.26) reads those of requests, and what it says of those that it does not read. */
import { goQuote } from "../api/selector/go-quote.ts";
import { AddressFault, parseAddress } from "./address-text.ts";

export interface RequestUrl {
  /** In lower case; empty for a path. */
  readonly scheme: string;
  /** With the port; without who signs in. */
  readonly host: string;
  readonly escapedPath: string;
  /** The values of each parameter, in order. */
  readonly query: ReadonlyMap<string, readonly string[]>;
}

/** The message is Go's. */
export class UrlFault extends Error {
  override readonly name = "UrlFault";
}

const controlCharacter = /(?![\u0080-\u009f])\p{Cc}/u;

/** An absolute URI or an absolute path (ParseRequestURI). Throws UrlFault. */
export function parseRequestUrl(text: string): RequestUrl {
  if (controlCharacter.test(text)) throw new UrlFault("net/url: invalid control character in URL");
  if (text === "") throw new UrlFault("empty url");
  if (text.startsWith(":")) throw new UrlFault("missing protocol scheme");
  if (text === "*") return { scheme: "", host: "", escapedPath: "*", query: new Map() };
  const [prefix = "", given = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text) ?? [];
  const scheme = given.toLowerCase();
  const [rest, rawQuery] = cut(text.slice(prefix.length), "?");
  const query = queryOf(rawQuery);
  if (!rest.startsWith("/")) {
    if (scheme === "") throw new UrlFault("invalid URI for request");
    return { scheme, host: "", escapedPath: "", query };
  }
  if (scheme === "" || !rest.startsWith("//")) return { scheme, host: "", escapedPath: escapedPathOf(rest), query };
  const [authority = ""] = /^[^/]*/.exec(rest.slice(2)) ?? [];
  const host = hostIn(scheme, authority);
  return { scheme, host, escapedPath: escapedPathOf(rest.slice(2 + authority.length)), query };
}

/** Host, without the brackets of an address, and port. */
export function splitHostPort(hostPort: string): { readonly hostname: string; readonly port: string } {
  const [, host = "", port = ""] = /^(.*?)(?::(\d*))?$/s.exec(hostPort) ?? [];
  return { hostname: host.replace(/^\[(.*)\]$/s, "$1"), port };
}

function hostIn(scheme: string, authority: string): string {
  const at = authority.lastIndexOf("@");
  const host = hostOf(scheme, authority.slice(at + 1));
  if (at >= 0) {
    const user = authority.slice(0, at);
    if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new UrlFault("net/url: invalid userinfo");
    for (const part of cut(user, ":")) checkEscapes(part);
  }
  return host;
}

function hostOf(scheme: string, text: string): string {
  const bracket = text.lastIndexOf("[");
  if (bracket > 0) throw new UrlFault("invalid IP-literal");
  if (bracket === 0) return literalHost(text);
  const isWeb = scheme === "http" || scheme === "https";
  const colon = isWeb ? text.indexOf(":") : text.lastIndexOf(":");
  if (colon >= 0) checkPort(text.slice(colon));
  return hostText(text);
}

function literalHost(text: string): string {
  const end = text.lastIndexOf("]");
  if (end < 0) throw new UrlFault("missing ']' in host");
  const port = text.slice(end + 1);
  checkPort(port);
  const inside = text.slice(1, end);
  const zone = inside.indexOf("%25");
  const address = zone < 0 ? hostText(inside) : hostText(inside.slice(0, zone)) + zoneText(inside.slice(zone));
  try {
    if (parseAddress(address).bits === 32) throw new UrlFault("invalid IP-literal");
  } catch (error) {
    if (error instanceof AddressFault) throw new UrlFault(`invalid host: ${error.message}`);
    throw error;
  }
  return `[${address}]${port}`;
}

function checkPort(text: string): void {
  if (!/^(:\d*)?$/.test(text)) throw new UrlFault(`invalid port ${goQuote(text)} after host`);
}

const hostCharacters = /[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"]/;

/** Escapes stand for what is not ASCII alone, and for the percent sign. */
const hostText = (text: string): string => unescapedHost(text, (code, byte) => byte >= 0x80 || code === "%25");

/** Of a zone, also what could stand there itself, and the space of Windows. */
const zoneText = (text: string): string =>
  unescapedHost(text, (code, byte) => {
    const character = String.fromCharCode(byte);
    return code === "%25" || character === " " || hostCharacters.test(character);
  });

function unescapedHost(text: string, mayEscape: (code: string, byte: number) => boolean): string {
  for (const [part] of text.matchAll(/%.{0,2}|[^%]/gsu)) {
    if (part.startsWith("%")) {
      checkEscapes(part);
      if (!mayEscape(part, Number.parseInt(part.slice(1), 16))) throw escapeFault(part);
    } else if (part.charCodeAt(0) < 0x80 && !hostCharacters.test(part)) {
      throw new UrlFault(`invalid character ${goQuote(part)} in host name`);
    }
  }
  return unescaped(text);
}

const escapeFault = (code: string): UrlFault => new UrlFault(`invalid URL escape ${goQuote(code)}`);

function checkEscapes(text: string): void {
  const [fault] = /%(?![0-9A-Fa-f]{2}).{0,2}/su.exec(text) ?? [];
  if (fault !== undefined) throw escapeFault(fault);
}

/** As it was written where that is an encoding of a path, else encoded anew. */
function escapedPathOf(text: string): string {
  checkEscapes(text);
  if (/^[A-Za-z0-9\-_.~!$&'()*+,;=:@[\]%/]*$/.test(text)) return text;
  return unescapedBytes(text).replace(
    /[^A-Za-z0-9\-_.~$&+,/:;=@]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Parameters that cannot be read are left out. */
function queryOf(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const parameter of text.split("&")) {
    if (parameter === "" || parameter.includes(";") || /%(?![0-9A-Fa-f]{2})/.test(parameter)) continue;
    const [key, value] = cut(parameter, "=").map((part) => unescaped(part.replaceAll("+", " "))) as [string, string];
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** A character for each byte. */
const unescapedBytes = (text: string): string =>
  Buffer.from(text, "utf8")
    .toString("latin1")
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

const unescaped = (text: string): string =>
  text.includes("%") ? Buffer.from(unescapedBytes(text), "latin1").toString("utf8") : text;
