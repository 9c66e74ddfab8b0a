/** `extenders` of a KubeSchedulerConfiguration: services that have a say in where pods go. */

import { readFileSync } from "node:fs";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Field } from "#shared/config/field.ts";
import { parseDuration_ms } from "#shared/config/option.ts";
import { isQualifiedName } from "../../apiserver/resources/validation/names.ts";
import { isNativeResource } from "../../apiserver/resources/validation/quantities.ts";

export interface ExtenderSettings {
  readonly urlPrefix: string;
  /** What is appended to the prefix for each question; empty: it is not asked that. */
  readonly verbs: Readonly<Record<ExtenderVerb, string>>;
  /** Multiplies its scores. */
  readonly weight: number;
  readonly timeout_ms: number;
  /** It knows the nodes: their names are enough. */
  readonly nodeCacheCapable: boolean;
  /** Pods are scheduled without it when it does not answer. */
  readonly ignorable: boolean;
  /** Only pods that ask for one of these concern it; empty: all do. */
  readonly managedResources: readonly string[];
  /** Those of them that the scheduler itself does not count. */
  readonly ignoredResources: readonly string[];
  readonly tls: ExtenderTls;
}

export type ExtenderVerb = "filter" | "prioritize" | "preempt" | "bind";

export interface ExtenderTls {
  /** PEM, as are the others. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly rejectUnauthorized?: false;
}

const defaultTimeout_ms = 5000;
const infinity = Number.POSITIVE_INFINITY;

/** In the order in which they are asked: those that can be done without come last. */
export function decodeExtenders(list: Field): readonly ExtenderSettings[] {
  const managed = new Set<string>();
  const extenders = list.items().map((item) => decodeExtender(item, managed));
  const binders = extenders.filter(({ verbs }) => verbs.bind !== "").length;
  if (binders > 1) list.complain(`found ${binders} extenders implementing bind: only one extender can implement bind`);
  return [...extenders.filter(({ ignorable }) => !ignorable), ...extenders.filter(({ ignorable }) => ignorable)];
}

function decodeExtender(item: Field, managed: Set<string>): ExtenderSettings {
  const fields = item.fields([
    "urlPrefix",
    "filterVerb",
    "preemptVerb",
    "prioritizeVerb",
    "weight",
    "bindVerb",
    "enableHTTPS",
    "tlsConfig",
    "httpTimeout",
    "nodeCacheCapable",
    "managedResources",
    "ignorable",
  ]);
  const urlPrefix = fields.urlPrefix.text();
  if (!/^https?:\/\//.test(urlPrefix) || !URL.canParse(urlPrefix)) fields.urlPrefix.complain("expected a URL of HTTP");
  const weight = fields.weight.integer(0, { min: -infinity, max: infinity });
  const prioritize = fields.prioritizeVerb.text();
  if (prioritize !== "" && weight <= 0) fields.weight.complain("must have a positive weight applied to it");
  const resources = fields.managedResources.items().map((resource) => decodeResource(resource, managed));
  return {
    urlPrefix,
    verbs: {
      filter: fields.filterVerb.text(),
      prioritize,
      preempt: fields.preemptVerb.text(),
      bind: fields.bindVerb.text(),
    },
    weight,
    timeout_ms: timeout(fields.httpTimeout),
    nodeCacheCapable: fields.nodeCacheCapable.boolean(false),
    ignorable: fields.ignorable.boolean(false),
    managedResources: resources.map(({ name }) => name),
    ignoredResources: resources.filter(({ isIgnored }) => isIgnored).map(({ name }) => name),
    tls: decodeTls(fields.tlsConfig, fields.enableHTTPS.boolean(false)),
  };
}

function decodeResource(item: Field, managed: Set<string>): { readonly name: string; readonly isIgnored: boolean } {
  const { name: field, ignoredByScheduler } = item.fields(["name", "ignoredByScheduler"]);
  const name = field.text();
  const faults = isQualifiedName(name);
  for (const fault of faults) field.complain(fault);
  if (faults.length === 0 && !isExtended(name)) field.complain("is an invalid extended resource name");
  if (managed.has(name)) field.complain("duplicate extender managed resource name");
  managed.add(name);
  return { name, isIgnored: ignoredByScheduler.boolean(false) };
}

/** As upstream's IsExtendedResourceName. */
const isExtended = (name: string): boolean =>
  !isNativeResource(name) && !name.startsWith("requests.") && isQualifiedName(`requests.${name}`).length === 0;

function timeout(field: Field): number {
  const given_ms = parseDuration_ms(field.text("0"));
  if (given_ms === undefined) field.complain("expected a duration such as 5s");
  return given_ms || defaultTimeout_ms;
}

function decodeTls(field: Field, enableHTTPS: boolean): ExtenderTls {
  const fields = field.fields([
    "insecure",
    "serverName",
    "certFile",
    "keyFile",
    "caFile",
    "certData",
    "keyData",
    "caData",
  ]);
  const ca = pem(fields.caFile, fields.caData);
  const [cert, key] = [pem(fields.certFile, fields.certData), pem(fields.keyFile, fields.keyData)];
  const serverName = fields.serverName.text();
  // Upstream takes any certificate where no CA is named, as soon as enableHTTPS is set.
  const isInsecure = fields.insecure.boolean(false) || (enableHTTPS && ca === "");
  return {
    ...(ca ? { ca } : {}),
    ...(cert && key ? { cert, key } : {}),
    ...(serverName ? { serverName } : {}),
    ...(isInsecure ? { rejectUnauthorized: false } : {}),
  };
}

/** Data (base64) takes precedence over a file. */
function pem(file: Field, data: Field): string {
  const encoded = data.text();
  if (encoded !== "") return Buffer.from(encoded, "base64").toString();
  const path = file.text();
  if (path === "") return "";
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    file.complain(messageOf(error));
    return "";
  }
}
