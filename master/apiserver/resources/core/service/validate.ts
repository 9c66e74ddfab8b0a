/** Services (ValidateService* in pkg/apis/core/validation). */
import type { FieldError } from "#shared/api/errors.ts";
import type { Service, ServicePort, ServiceSpec } from "#shared/api/types/core-v1.generated.ts";
import {
  isDualStack,
  isIPv6,
  parseAddress,
  validateAddress,
  validateEndpointAddress,
  validateRange,
} from "../../validation/addresses.ts";
import { collect, type Field, oneOf, requiredOneOf } from "../../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain, isPortNumber, isQualifiedName } from "../../validation/names.ts";
import { validateLabels } from "../../validation/object-meta.ts";
import { protocols, validatePortNumberOrName } from "../../validation/ports.ts";
import { isExternallyAccessible, isHeadless, needsHealthCheck } from "./families.ts";

const maxClientIPTimeout_s = 86_400;
const hintsAnnotation = "service.kubernetes.io/topology-aware-hints";
const modeAnnotation = "service.kubernetes.io/topology-mode";
const rangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";

export const internalTrafficPolicies: readonly string[] = ["Cluster", "Local"];

export function validateService(service: Service, old?: Readonly<Service>): FieldError[] {
  return collect((root) => validateAll(service, old, root));
}

export function validateServiceUpdate(service: Service, old: Readonly<Service>): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    validateClusterIPChange(service, old, field);
    validateFamilyChange(service, old, field);
    if (service.spec.type === "LoadBalancer" && old.spec.type === "LoadBalancer") {
      if (service.spec.loadBalancerClass !== old.spec.loadBalancerClass) {
        field.at("loadBalancerClass").invalid(service.spec.loadBalancerClass, "may not change once set");
      }
    }
    validateLoadBalancerClass(service.spec, field);
    if (needsHealthCheck(old) && needsHealthCheck(service)) {
      if (service.spec.healthCheckNodePort !== old.spec.healthCheckNodePort) {
        field.at("healthCheckNodePort").forbidden("field is immutable");
      }
    }
    validateAll(service, old, root);
  });
}

function validateAll(service: Service, old: Readonly<Service> | undefined, root: Field): void {
  const { spec, metadata } = service;
  const hints = metadata.annotations?.[hintsAnnotation];
  const mode = metadata.annotations?.[modeAnnotation];
  if (hints !== undefined && mode !== undefined && hints !== mode) {
    root
      .at("metadata", "annotations")
      .key(modeAnnotation)
      .invalid(mode, `must match annotations[${hintsAnnotation}] when both are specified`);
  }
  const field = root.at("spec");
  if (!spec.ports?.length && !isHeadless(service) && spec.type !== "ExternalName") field.at("ports").required();
  validateType(service, field);
  validatePorts(service, field.at("ports"));
  validateLabels(spec.selector, field.at("selector"));
  requiredOneOf(spec.sessionAffinity, ["ClientIP", "None"], field.at("sessionAffinity"));
  validateAffinity(spec, field.at("sessionAffinityConfig"));
  validateClusterIPs(service, old, field);
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    const at = field.at("externalIPs").index(index);
    if (validateAddress(address, at, old?.spec.externalIPs)) validateEndpointAddress(address, at);
  }
  requiredOneOf(spec.type, ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], field.at("type"));
  validateNodePorts(spec, field.at("ports"));
  validateSourceRanges(service, old, root);
  const allocates = spec.allocateLoadBalancerNodePorts;
  if (allocates !== undefined && spec.type !== "LoadBalancer") {
    field.at("allocateLoadBalancerNodePorts").forbidden("may only be used when `type` is 'LoadBalancer'");
  }
  if (allocates === undefined && spec.type === "LoadBalancer") root.at("allocateLoadBalancerNodePorts").required();
  validateLoadBalancerClass(spec, field);
  validateTrafficPolicies(service, field);
}

function validateType({ spec }: Service, field: Field): void {
  if (spec.type === "LoadBalancer" || spec.type === "NodePort") {
    if (spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === "None") {
      field.at("clusterIPs").index(0).invalid("None", `may not be set to 'None' for ${spec.type} services`);
    }
  }
  if (spec.type !== "ExternalName") return;
  for (const key of ["clusterIPs", "ipFamilies"] as const) {
    if (spec[key]?.length) field.at(key).forbidden("may not be set for ExternalName services");
  }
  if (spec.ipFamilyPolicy !== undefined)
    field.at("ipFamilyPolicy").forbidden("may not be set for ExternalName services");
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  if (name === "") field.at("externalName").required();
  else field.at("externalName").invalidEach(name, isDns1123Subdomain(name));
}

function validatePorts(service: Service, field: Field): void {
  const ports = service.spec.ports ?? [];
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = field.index(index);
    const { name = "", appProtocol } = port;
    if (name === "") {
      if (ports.length > 1) at.at("name").required();
    } else {
      at.at("name").invalidEach(name, isDns1123Label(name));
      if (names.has(name)) at.at("name").duplicate(name);
      names.add(name);
    }
    at.at("port").invalidEach(port.port ?? 0, isPortNumber(port.port ?? 0));
    requiredOneOf(port.protocol, protocols, at.at("protocol"));
    validatePortNumberOrName(port.targetPort, at.at("targetPort"));
    if (appProtocol !== undefined) at.at("appProtocol").invalidEach(appProtocol, isQualifiedName(appProtocol));
  }
}

/** How upstream prints the pair that must be unique, all fields of its struct included. */
const shownPort = ({ protocol, port }: ServicePort) => ({
  Name: "",
  Protocol: protocol,
  AppProtocol: null,
  Port: port,
  TargetPort: 0,
  NodePort: 0,
});

function validateNodePorts({ ports = [], type }: ServiceSpec, field: Field): void {
  if (type === "ClusterIP") {
    for (const [index, { nodePort }] of ports.entries()) {
      if (nodePort) field.index(index).at("nodePort").forbidden("may not be used when `type` is 'ClusterIP'");
    }
  }
  const nodePorts = new Set<string>();
  const pairs = new Set<string>();
  for (const [index, { nodePort, protocol }] of ports.entries()) {
    if (!nodePort) continue;
    if (nodePorts.has(`${protocol}/${nodePort}`)) field.index(index).at("nodePort").duplicate(nodePort);
    nodePorts.add(`${protocol}/${nodePort}`);
  }
  for (const [index, port] of ports.entries()) {
    const pair = `${port.protocol}/${port.port}`;
    if (pairs.has(pair)) field.index(index).duplicate(shownPort(port));
    pairs.add(pair);
  }
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig: config }: ServiceSpec, field: Field): void {
  if (sessionAffinity === "None" && config !== undefined) {
    field.forbidden("must not be set when session affinity is None");
  }
  if (sessionAffinity !== "ClientIP") return;
  const message = "when session affinity type is ClientIP";
  const timeout = config?.clientIP?.timeoutSeconds;
  if (config === undefined) field.required(message);
  else if (config.clientIP === undefined) field.at("clientIP").required(message);
  else if (timeout === undefined) field.at("clientIP", "timeoutSeconds").required(message);
  else if (timeout <= 0 || timeout > maxClientIPTimeout_s) {
    field
      .at("clientIP", "timeoutSeconds")
      .invalid(timeout, `must be greater than 0 and less than ${maxClientIPTimeout_s}`);
  }
}

/** Cluster addresses and their families, which must agree with each other. Also asked before addresses are allocated. */
export function validateClusterIPs(service: Service, old: Readonly<Service> | undefined, field: Field): void {
  const { spec } = service;
  if (spec.type === "ExternalName") return;
  const { clusterIP = "", clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  const at = field.at("clusterIPs");
  if (clusterIP === "") {
    if (clusterIPs.length > 0) at.invalid(clusterIPs, "must be empty when `clusterIP` is not specified");
  } else if (clusterIPs.length === 0) at.required();
  else if (clusterIPs[0] !== clusterIP) at.invalid(clusterIPs, "first value must match `clusterIP`");
  const seen = new Set<string>();
  for (const [index, family] of ipFamilies.entries()) {
    const place = field.at("ipFamilies").index(index);
    oneOf(family, ["IPv4", "IPv6"], place);
    if (seen.has(family)) place.duplicate(family);
    seen.add(family);
  }
  if (ipFamilyPolicy !== undefined) {
    oneOf(ipFamilyPolicy, ["PreferDualStack", "RequireDualStack", "SingleStack"], field.at("ipFamilyPolicy"));
  }
  const usable = areAddresses(clusterIPs, old?.spec.clusterIPs, at);
  if (clusterIPs.length > 2) at.invalid(clusterIPs, "may only hold up to 2 values");
  if (!usable) return;
  if (clusterIPs.length > 1 && !isDualStack(clusterIPs)) {
    at.invalid(clusterIPs, "may specify no more than one IP for each IP family");
  }
  if (isHeadless(service)) return;
  for (const [index, address] of clusterIPs.entries()) {
    const family = ipFamilies[index];
    const is = isIPv6(address) ? "IPv6" : "IPv4";
    if ((family === "IPv4" || family === "IPv6") && family !== is) {
      at.index(index).invalid(address, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``);
    }
  }
}

/** Each is an address, or the only one is None; complains of what is not. */
function areAddresses(clusterIPs: readonly string[], old: readonly string[] | undefined, at: Field): boolean {
  let usable = true;
  for (const [index, address] of clusterIPs.entries()) {
    if (index === 0 && address === "None") {
      if (clusterIPs.length === 1) continue;
      usable = false;
      at.invalid(clusterIPs, "'None' must be the first and only value");
    } else if (!validateAddress(address, at.index(index), old)) usable = false;
  }
  return usable;
}

function validateSourceRanges({ spec, metadata }: Service, old: Readonly<Service> | undefined, root: Field): void {
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotation = metadata.annotations?.[rangesAnnotation];
  if (ranges.length > 0) {
    const field = root.at("spec", "LoadBalancerSourceRanges");
    if (spec.type !== "LoadBalancer") field.forbidden("may only be used when `type` is 'LoadBalancer'");
    const known = (old?.spec.loadBalancerSourceRanges ?? []).map((range) => range.trim());
    for (const [index, range] of ranges.entries()) validateRange(range.trim(), field.index(index), known);
  } else if (annotation !== undefined) {
    const field = root.at("metadata", "annotations").key(rangesAnnotation);
    if (spec.type !== "LoadBalancer") field.forbidden("may only be used when `type` is 'LoadBalancer'");
    if (annotation.trim() === "" || old?.metadata.annotations?.[rangesAnnotation] === annotation) return;
    for (const range of annotation.split(",")) validateRange(range.trim(), field);
  }
}

function validateLoadBalancerClass({ type, loadBalancerClass: name }: ServiceSpec, field: Field): void {
  if (name === undefined) return;
  const at = field.at("loadBalancerClass");
  if (type === "LoadBalancer") at.invalidEach(name, isQualifiedName(name));
  else at.forbidden("may only be used when `type` is 'LoadBalancer'");
}

function validateTrafficPolicies(service: Service, field: Field): void {
  const {
    externalTrafficPolicy,
    healthCheckNodePort = 0,
    internalTrafficPolicy,
    trafficDistribution,
    type,
  } = service.spec;
  const external = field.at("externalTrafficPolicy");
  if (isExternallyAccessible(service)) requiredOneOf(externalTrafficPolicy, ["Cluster", "Local"], external);
  else if (externalTrafficPolicy) {
    external.invalid(externalTrafficPolicy, "may only be set for externally-accessible services");
  }
  const health = field.at("healthCheckNodePort");
  if (!needsHealthCheck(service)) {
    if (healthCheckNodePort !== 0) {
      health.invalid(
        healthCheckNodePort,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      );
    }
  } else if (healthCheckNodePort === 0) health.required();
  else health.invalidEach(healthCheckNodePort, isPortNumber(healthCheckNodePort));
  const internal = field.at("internalTrafficPolicy");
  if (internalTrafficPolicy !== undefined) oneOf(internalTrafficPolicy, internalTrafficPolicies, internal);
  else if (type === "NodePort" || type === "LoadBalancer" || type === "ClusterIP") internal.required();
  if (trafficDistribution !== undefined) {
    oneOf(trafficDistribution, ["PreferClose", "PreferSameZone", "PreferSameNode"], field.at("trafficDistribution"));
  }
}

function validateClusterIPChange(service: Service, old: Readonly<Service>, field: Field): void {
  if (service.spec.type === "ExternalName" || old.spec.type === "ExternalName") return;
  if (isHeadless(service) && isHeadless(old)) return;
  const [after, before] = [service.spec.clusterIPs ?? [], old.spec.clusterIPs ?? []];
  const at = field.at("clusterIPs");
  const message = "may not change once set";
  if (after.length === before.length) {
    for (const [index, address] of before.entries()) {
      if (address !== after[index]) at.index(index).invalid(after, message);
    }
    return;
  }
  if (after.length < before.length) {
    if (after.length === 0) at.index(0).invalid(after, "primary clusterIP can not be unset");
    else if (after[0] !== before[0]) at.index(0).invalid(after, message);
    if (after.length === 1 && service.spec.ipFamilyPolicy !== "SingleStack") {
      field
        .at("ipFamilyPolicy")
        .invalid(service.spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP");
    }
  } else if (before.length > 0 && after[0] !== before[0]) at.index(0).invalid(after, message);
}

function validateFamilyChange(service: Service, old: Readonly<Service>, field: Field): void {
  if (service.spec.type === "ExternalName" || old.spec.type === "ExternalName") return;
  if (isHeadless(service) !== isHeadless(old) || isHeadless(service)) return;
  const [after, before] = [service.spec.ipFamilies ?? [], old.spec.ipFamilies ?? []];
  const at = field.at("ipFamilies").index(0);
  const message = "may not change once set";
  if (after.length === before.length) {
    for (const [index, family] of before.entries()) if (family !== after[index]) at.invalid(after, message);
    return;
  }
  if (after.length > 0 && before.length > 0 && after[0] !== before[0]) at.invalid(service.spec.clusterIPs, message);
  if (after.length < before.length) {
    if (!service.spec.clusterIPs?.length) at.invalid(after, "primary ipFamily can not be unset");
    if (after.length === 1 && service.spec.ipFamilyPolicy !== "SingleStack") {
      field
        .at("ipFamilyPolicy")
        .invalid(service.spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily");
    }
  }
}

export function validateServiceStatus({ spec, status }: Service, old: Readonly<Service>): FieldError[] {
  return collect((root) => {
    const field = root.at("status", "loadBalancer", "ingress");
    const entries = status?.loadBalancer?.ingress ?? [];
    if (spec.type !== "LoadBalancer" && entries.length > 0) {
      field.forbidden("may only be used when `spec.type` is 'LoadBalancer'");
      return;
    }
    const known = (old.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
    for (const [index, { ip, ipMode, hostname }] of entries.entries()) {
      const at = field.index(index);
      if (ip) validateAddress(ip, at.at("ip"), known);
      if (ipMode === undefined) {
        if (ip) at.at("ipMode").required("must be specified when `ip` is set");
      } else if (!ip) at.at("ipMode").forbidden("may not be specified when `ip` is not set");
      else oneOf(ipMode, ["Proxy", "VIP"], at.at("ipMode"));
      if (!hostname) continue;
      at.at("hostname").invalidEach(hostname, isDns1123Subdomain(hostname));
      if (parseAddress(hostname)) at.at("hostname").invalid(hostname, "must be a DNS name, not an IP address");
    }
  });
}
