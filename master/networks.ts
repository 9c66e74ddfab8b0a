import { ConfigError } from "#shared/config/option.ts";

/** The n-th address of an IPv4 network, `10.43.0.1` for n = 1. Throws ConfigError for what is no network. */
export function nthAddress(cidr: string, n: number): string {
  const [, a, b, c, d, bits] = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr) ?? [];
  const octets = [a, b, c, d].map(Number);
  if (bits === undefined || Number(bits) > 30 || octets.some((octet) => !(octet <= 255))) {
    throw new ConfigError(`expected an IPv4 network such as 10.43.0.0/16, got ${cidr}`);
  }
  const base = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const address = base + n;
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** `30000-32767`. Throws ConfigError. */
export function parsePortRange(text: string): { readonly first: number; readonly last: number } {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last) };
  if (last === undefined || range.first < 1 || range.last > 65_535 || range.first > range.last) {
    throw new ConfigError(`service-node-port-range: expected FIRST-LAST such as 30000-32767, got ${text}`);
  }
  return range;
}
