/** What is valid in many kinds and still warned of: labels under old names, and addresses written in odd ways. */
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { NodeSelectorTerm } from "#shared/api/types/core-v1.generated.ts";
import { formatAddress, formatRange, parseAddress, parseRange } from "./addresses.ts";

const oldLabels: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

/** Why a label of nodes is better called otherwise; undefined: it is not. */
export const oldLabelWarning = (label: string): string | undefined =>
  Object.hasOwn(oldLabels, label) ? oldLabels[label] : undefined;

/** @param at the path of a field whose value is a label's name */
export function labelNameWarnings(label: string, at: string): string[] {
  const why = oldLabelWarning(label);
  return why === undefined ? [] : [`${at}: ${label} is ${why}`];
}

export const selectorTermWarnings = ({ matchExpressions = [] }: NodeSelectorTerm, at: string): string[] =>
  matchExpressions.flatMap(({ key }, index) => labelNameWarnings(key, `${at}.matchExpressions[${index}].key`));

const leadingZero = /(^|\.)0[0-9]/;
/** What strict parsers of addresses do not take, or take for another family. */
const isNonStandard = (address: string): boolean =>
  address.includes(":") ? parseAddress(address)?.bits === 32 || leadingZero.test(address) : leadingZero.test(address);

/** Of an address that was found valid (util/validation/ip.go of apimachinery). */
export function addressWarnings(text: string, at: string): string[] {
  const address = parseAddress(text);
  if (address === undefined) return [];
  const wanted = goQuote(formatAddress(address));
  if (isNonStandard(text)) {
    return [
      `${at}: non-standard IP address ${goQuote(text)} will be considered invalid in a future Kubernetes release: use ${wanted}`,
    ];
  }
  if (!text.includes(":") || formatAddress(address) === text) return [];
  return [`${at}: IPv6 address ${goQuote(text)} should be in RFC 5952 canonical format (${wanted})`];
}

/** Of a range that was found valid. */
export function rangeWarnings(text: string, at: string): string[] {
  const [first = ""] = text.split("/", 1);
  const [range, address] = [parseRange(text), parseAddress(first)];
  if (range === undefined || address === undefined) return [];
  const wanted = goQuote(formatRange(range));
  const warnings: string[] = [];
  if (address.value !== range.base) {
    const single = goQuote(`${formatAddress(address)}/${range.bits}`);
    warnings.push(
      `${at}: CIDR value ${goQuote(text)} is ambiguous in this context (should be ${wanted} or ${single}?)`,
    );
  }
  if (isNonStandard(first)) {
    warnings.push(
      `${at}: non-standard CIDR value ${goQuote(text)} will be considered invalid in a future Kubernetes release: use ${wanted}`,
    );
  }
  if (warnings.length === 0 && text.includes(":") && formatRange(range) !== text)
    warnings.push(`${at}: IPv6 CIDR value ${goQuote(text)} should be in RFC 5952 canonical format (${wanted})`);
  return warnings;
}

/** Of each item of a list, by its index. */
export const eachWarned = (
  items: readonly string[] | undefined,
  at: string,
  warningsOf: (text: string, at: string) => string[],
): string[] => (items ?? []).flatMap((item, index) => warningsOf(item, `${at}[${index}]`));
