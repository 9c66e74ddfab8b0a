import { isIpv6 } from "#shared/net/ip-family.ts";

/** Of the record that gives an address. */
export const recordTypeOf = (address: string): "A" | "AAAA" => (isIpv6(address) ? "AAAA" : "A");
