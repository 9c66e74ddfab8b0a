import { isIpv6 } from "../net/ip-family.ts";

/** `10.0.0.1:80`, `[fd00::1]:80`: a host and a port as URLs and Go's net.JoinHostPort write them. */
export const hostPort = (host: string, port: number | string): string => `${inUrl(host)}:${port}`;

/** A host as a URL has it: an IPv6 address in brackets. */
export const inUrl = (host: string): string => (isIpv6(host) ? `[${host}]` : host);

/** A host of a URL as sockets take it: without brackets. */
export const outOfUrl = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");
