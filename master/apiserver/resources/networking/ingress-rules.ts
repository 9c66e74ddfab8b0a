import type { FieldError } from "#shared/api/errors.ts";
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressRule,
  IngressServiceBackend,
  IngressTLS,
} from "#shared/api/types/networking-v1.generated.ts";
import { parseAddress, validateAddress } from "../validation/addresses.ts";
import { validateDomainPrefixedPath } from "../validation/domain-path.ts";
import { collect, each, type Field, immutable, oneOf } from "../validation/field.ts";
import {
  isDns1035Label,
  isDns1123Label,
  isDns1123Subdomain,
  isPortName,
  isPortNumber,
  isWildcardDns1123Subdomain,
} from "../validation/names.ts";
import { validateTypedReference } from "./references.ts";

const classAnnotation = "kubernetes.io/ingress.class";
const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];
const maxController_bytes = 250;

export const validateIngress = (ingress: Ingress): FieldError[] =>
  collect((root) => {
    validateSpec(ingress, undefined, root.at("spec"));
    const annotation = ingress.metadata.annotations?.[classAnnotation];
    const { ingressClassName } = ingress.spec;
    if (annotation !== undefined && ingressClassName !== undefined && annotation !== ingressClassName) {
      root
        .at("annotations", classAnnotation)
        .invalid(annotation, "must match `ingressClassName` when both are specified");
    }
  });

export const validateIngressUpdate = (ingress: Ingress, old: Readonly<Ingress>): FieldError[] =>
  collect((root) => validateSpec(ingress, old, root.at("spec")));

export const validateIngressStatus = ({ status }: Ingress, old: Readonly<Ingress>): FieldError[] =>
  collect((root) => {
    const field = root.at("status", "loadBalancer", "ingress");
    const known = old.status?.loadBalancer?.ingress?.flatMap(({ ip }) => (ip ? [ip] : [])) ?? [];
    for (const [index, { ip, hostname }] of (status?.loadBalancer?.ingress ?? []).entries()) {
      if (ip) validateAddress(ip, field.index(index).at("ip"), known);
      if (!hostname) continue;
      const at = field.index(index).at("hostname");
      at.invalidEach(hostname, isDns1123Subdomain(hostname));
      if (parseAddress(hostname)) at.invalid(hostname, "must be a DNS name, not an IP address");
    }
  });

/** What the old object already had wrong is borne with. */
function validateSpec({ spec }: Ingress, old: Readonly<Ingress> | undefined, field: Field): void {
  const { rules = [], tls = [], defaultBackend, ingressClassName } = spec;
  if (rules.length === 0 && !defaultBackend) {
    field.invalid(spec.rules ?? null, "either `defaultBackend` or `rules` must be specified");
  }
  const isServiceName = hasRelaxedServiceName(old) ? isDns1123Label : isDns1035Label;
  if (defaultBackend) validateBackend(defaultBackend, isServiceName, field.at("defaultBackend"));
  const isLenient = hasInvalidWildcardRule(old);
  for (const [index, rule] of rules.entries()) {
    const at = field.at("rules").index(index);
    if (rule.host) validateHost(rule.host, at.at("host"));
    if (isLenient && rule.host?.includes("*")) continue;
    validatePaths(rule, isServiceName, at);
  }
  const areSecretsFree = old?.spec.tls?.some(({ secretName }) => secretName && isDns1123Subdomain(secretName).length);
  for (const [index, entry] of tls.entries()) validateTLS(entry, !areSecretsFree, field.at("tls").index(index));
  if (ingressClassName !== undefined) {
    field.at("ingressClassName").invalidEach(ingressClassName, isDns1123Subdomain(ingressClassName));
  }
}

type NameCheck = (name: string) => string[];

const isOnlyRelaxed = ({ service }: IngressBackend): boolean =>
  service !== undefined && isDns1123Label(service.name).length === 0 && isDns1035Label(service.name).length > 0;

const hasRelaxedServiceName = (old: Readonly<Ingress> | undefined): boolean =>
  old !== undefined &&
  [old.spec.defaultBackend ?? {}, ...(old.spec.rules ?? []).flatMap(backendsOf)].some(isOnlyRelaxed);

const backendsOf = ({ http }: IngressRule): IngressBackend[] => http?.paths?.map(({ backend }) => backend) ?? [];

const hasInvalidWildcardRule = (old: Readonly<Ingress> | undefined): boolean =>
  (old?.spec.rules ?? []).some(
    (rule) => rule.host?.includes("*") && collect((root) => validatePaths(rule, isDns1035Label, root)).length > 0,
  );

function validateHost(host: string, field: Field): void {
  if (parseAddress(host)) field.invalid(host, "must be a DNS name, not an IP address");
  field.invalidEach(host, host.includes("*") ? isWildcardDns1123Subdomain(host) : isDns1123Subdomain(host));
}

function validateTLS({ hosts = [], secretName }: IngressTLS, judgesSecret: boolean, field: Field): void {
  for (const [index, host] of hosts.entries()) {
    const check = host.includes("*") ? isWildcardDns1123Subdomain : isDns1123Subdomain;
    field.at("hosts").index(index).invalidEach(host, check(host));
  }
  if (judgesSecret && secretName) field.at("secretName").invalidEach(secretName, isDns1123Subdomain(secretName));
}

function validatePaths({ http }: IngressRule, isServiceName: NameCheck, field: Field): void {
  if (!http) return;
  const at = field.at("http", "paths");
  if (!http.paths?.length) at.required();
  each(http.paths, at, (path, at) => validatePath(path, isServiceName, at));
}

function validatePath({ path = "", pathType, backend }: HTTPIngressPath, isServiceName: NameCheck, field: Field): void {
  // Absent, not empty: upstream's is a pointer.
  if (pathType === undefined) {
    field.at("pathType").required("pathType must be specified");
    return;
  }
  oneOf(pathType, pathTypes, field.at("pathType"));
  const at = field.at("path");
  const isMatched = pathType === "Exact" || pathType === "Prefix";
  if (!path.startsWith("/") && (isMatched || (pathType === "ImplementationSpecific" && path !== "")))
    at.invalid(path, "must be an absolute path");
  if (isMatched) {
    for (const part of ["//", "/./", "/../", "%2f", "%2F"])
      if (path.includes(part)) at.invalid(path, `must not contain '${part}'`);
    for (const end of ["/..", "/."]) if (path.endsWith(end)) at.invalid(path, `cannot end with '${end}'`);
  }
  validateBackend(backend, isServiceName, field.at("backend"));
}

function validateBackend({ service, resource }: IngressBackend, isServiceName: NameCheck, field: Field): void {
  if (resource && service) field.invalid("", "cannot set both resource and service backends");
  else if (resource) validateTypedReference(resource, field.at("resource"));
  else if (service) validateServiceBackend(service, isServiceName, field);
  else field.invalid("", "resource or service backend is required");
}

function validateServiceBackend({ name, port }: IngressServiceBackend, isServiceName: NameCheck, field: Field): void {
  if (!name) field.at("service", "name").required();
  else field.at("service", "name").invalidEach(name, isServiceName(name));
  const at = field.at("service", "port");
  if (port?.name && port.number) field.invalid("", "cannot set both port name & port number");
  else if (port?.name) at.at("name").invalidEach(port.name, isPortName(port.name));
  else if (port?.number) at.at("number").invalidEach(port.number, isPortNumber(port.number));
  else field.required("port name or number is required");
}

export const validateIngressClass = ({ spec }: IngressClass): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { controller = "", parameters } = spec;
    if (controller.length > maxController_bytes) field.at("controller").tooLong(maxController_bytes);
    validateDomainPrefixedPath(controller, field.at("controller"));
    if (!parameters) return;
    const at = field.at("parameters");
    validateTypedReference(parameters, at);
    const { scope, namespace } = parameters;
    if (scope === undefined) at.at("scope").required();
    else oneOf(scope, ["Cluster", "Namespace"], at.at("scope"));
    if (scope === "Namespace") {
      if (namespace === undefined) at.at("namespace").required("`parameters.scope` is set to 'Namespace'");
      else at.at("namespace").invalidEach(namespace, isDns1123Label(namespace));
    }
    if (scope === "Cluster" && namespace !== undefined) {
      at.at("namespace").forbidden("`parameters.scope` is set to 'Cluster'");
    }
  });

export const validateIngressClassUpdate = (ingressClass: IngressClass, old: Readonly<IngressClass>): FieldError[] => [
  ...collect((root) =>
    immutable(ingressClass.spec.controller ?? "", old.spec.controller ?? "", root.at("spec", "controller")),
  ),
  ...validateIngressClass(ingressClass),
];
