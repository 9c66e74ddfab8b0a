import type { FieldError } from "#shared/api/errors.ts";
import type {
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "#shared/api/types/networking-v1.generated.ts";
import { type AddressRange, parseRange, validateRange } from "../validation/addresses.ts";
import { collect, each, type Field, oneOf } from "../validation/field.ts";
import { isPortName, isPortNumber } from "../validation/names.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

const policyTypes = ["Ingress", "Egress"];

/** SetDefaults_NetworkPolicy and SetDefaults_NetworkPolicyPort. */
export function applyNetworkPolicyDefaults({ spec }: NetworkPolicy): void {
  for (const { ports = [] } of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
    for (const port of ports) port.protocol ??= "TCP";
  if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? [...policyTypes] : ["Ingress"];
}

export const validateNetworkPolicy = (policy: NetworkPolicy, old?: Readonly<NetworkPolicy>): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { podSelector = {}, ingress = [], egress = [], policyTypes: given = [] } = policy.spec;
    const known = old === undefined ? [] : rangesOf(old);
    const had = old?.spec.podSelector;
    const wasInvalid = had !== undefined && collect((at) => validateLabelSelector(had, at)).length > 0;
    const judge = { known, selectors: wasInvalid ? "tolerant" : undefined } as const;
    validateLabelSelector(podSelector, field.at("podSelector"), judge.selectors);
    for (const [index, { ports, from }] of ingress.entries())
      validateRule(ports, from, "from", judge, field.at("ingress").index(index));
    for (const [index, { ports, to }] of egress.entries())
      validateRule(ports, to, "to", judge, field.at("egress").index(index));
    if (given.length > policyTypes.length)
      field.at("policyTypes").invalid(given, "may not specify more than two policyTypes");
    else each(given, field.at("policyTypes"), (type, at) => oneOf(type, policyTypes, at));
  });

interface Judge {
  /** Ranges that the old object had: borne with, however they are written. */
  readonly known: readonly string[];
  readonly selectors: "tolerant" | undefined;
}

function rangesOf({ spec }: NetworkPolicy): string[] {
  const peers = [
    ...(spec.ingress ?? []).flatMap(({ from = [] }) => from),
    ...(spec.egress ?? []).flatMap((e) => e.to ?? []),
  ];
  return peers.flatMap(({ ipBlock }) => (ipBlock ? [ipBlock.cidr, ...(ipBlock.except ?? [])] : []));
}

function validateRule(
  ports: readonly NetworkPolicyPort[] = [],
  peers: readonly NetworkPolicyPeer[] = [],
  side: "from" | "to",
  judge: Judge,
  field: Field,
): void {
  each(ports, field.at("ports"), validatePort);
  each(peers, field.at(side), (peer, at) => validatePeer(peer, judge, at));
}

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, field: Field): void {
  if (protocol !== undefined) oneOf(protocol, ["TCP", "UDP", "SCTP"], field.at("protocol"));
  const end = field.at("endPort");
  if (typeof port === "number") {
    field.at("port").invalidEach(port, isPortNumber(port));
    if (endPort === undefined) return;
    if (endPort < port) end.invalid(port, "must be greater than or equal to `port`");
    end.invalidEach(endPort, isPortNumber(endPort));
    return;
  }
  if (endPort !== undefined) {
    end.invalid(
      endPort,
      `may not be specified when \`port\` is ${port === undefined ? "not specified" : "non-numeric"}`,
    );
  }
  if (port !== undefined) field.at("port").invalidEach(port, isPortName(port));
}

function validatePeer(
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
  judge: Judge,
  field: Field,
): void {
  if (podSelector) validateLabelSelector(podSelector, field.at("podSelector"), judge.selectors);
  if (namespaceSelector) validateLabelSelector(namespaceSelector, field.at("namespaceSelector"), judge.selectors);
  if (ipBlock) validateBlock(ipBlock, judge.known, field.at("ipBlock"));
  if (!podSelector && !namespaceSelector && !ipBlock) field.required("must specify a peer");
  if (ipBlock && (podSelector || namespaceSelector)) field.forbidden("may not specify both ipBlock and another peer");
}

function validateBlock({ cidr, except = [] }: IPBlock, known: readonly string[], field: Field): void {
  if (!cidr) {
    field.at("cidr").required();
    return;
  }
  validateRange(cidr, field.at("cidr"), known);
  const whole = parseRange(cidr);
  if (!whole) return;
  for (const [index, part] of except.entries()) {
    const at = field.at("except").index(index);
    validateRange(part, at, known);
    const range = parseRange(part);
    if (range && !isStrictPart(range, whole)) at.invalid(part, "must be a strict subset of `cidr`");
  }
}

function isStrictPart(part: AddressRange, whole: AddressRange): boolean {
  const rest = BigInt(whole.bits - whole.prefix);
  return part.bits === whole.bits && part.prefix > whole.prefix && part.base >> rest === whole.base >> rest;
}
