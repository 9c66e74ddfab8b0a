/** Proxies that the environment names, as Go's programs read them (golang.org/x/net/http/httpproxy). */
import { isIP } from "node:net";
import { contains, parseCidr } from "../board/cidr.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const usualPorts: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/** The proxy by which a URL is asked; undefined: it is asked itself. One whose address is none is as good as none. */
export function proxyFor(url: URL, environment: Environment = process.env): URL | undefined {
  const upper = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const named = variable(environment, upper);
  return named !== "" && usesProxy(url, variable(environment, "NO_PROXY")) ? proxyUrl(named) : undefined;
}

const variable = (environment: Environment, name: string): string =>
  environment[name] || environment[name.toLowerCase()] || "";

function proxyUrl(text: string): URL | undefined {
  return URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`) ?? undefined;
}

function usesProxy({ hostname, port, protocol }: URL, exceptions: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || isLoopback(host)) return false;
  const at = port || usualPorts[protocol] || "";
  return !exceptions.split(",").some((entry) => isExcept(entry.trim().toLowerCase(), host, at));
}

const isLoopback = (host: string): boolean => isIP(host) !== 0 && loopback.some((network) => isWithin(host, network));
const loopback = ["127.0.0.0/8", "::1/128"];

function isWithin(host: string, network: string): boolean {
  const [outer, inner] = [parseCidr(network), isIP(host) ? parseCidr(host) : undefined];
  return outer !== undefined && inner !== undefined && contains(outer, inner);
}

/** An entry is a network, an address or a name, with a port or without: a name stands for those below it too, `.name` for those
 *  alone. */
function isExcept(entry: string, host: string, port: string): boolean {
  if (entry === "") return false;
  if (entry === "*") return true;
  if (entry.includes("/")) return isWithin(host, entry);
  const [, bracketed, plain, itsPort] = /^(?:\[(.*)\]|([^:]*)):(\d+)$/.exec(entry) ?? [];
  const name = bracketed ?? plain ?? entry.replace(/^\[|\]$/g, "");
  if (name === "" || (itsPort !== undefined && itsPort !== port)) return false;
  if (isIP(name)) return isWithin(host, name);
  const suffix = name.replace(/^\*\./, ".");
  return suffix.startsWith(".") ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}

/**
 * The engine's own client reads the same variables, but asks this machine by a proxy too, which Go's programs never do. To be
 * called before the program asks anybody.
 */
export function keepLoopbackDirect(environment: Record<string, string | undefined>): void {
  if (!variable(environment, "HTTPS_PROXY") && !variable(environment, "HTTP_PROXY")) return;
  const given = variable(environment, "NO_PROXY");
  if (given.split(",").includes("*")) return;
  environment["NO_PROXY"] = [given, "localhost", ...loopback].filter((entry) => entry !== "").join(",");
}
