/** Settings of admission plugins in a file (--admission-control-config-file): AdmissionConfiguration, and the form that each
 *  plugin has for its own, in the file itself or in one that it names. */
import { dirname, isAbsolute, resolve } from "node:path";
import { formatGoDuration } from "#shared/api/go-duration.ts";
import type { Toleration } from "#shared/api/types/core-v1.generated.ts";
import { configurationText, readDocument } from "#shared/config/document.ts";
import type { Field } from "#shared/config/field.ts";
import type { LimitedResource } from "../../quota/limited-resources.ts";
import type { AdmissionLogins } from "../extensions/extensions.ts";
import { WebhookLogins } from "../extensions/webhook-logins.ts";
import { type EventLimit, limitTypes } from "./optional/event-rate-limit.ts";
import type { ImagePolicy } from "./optional/image-policy-webhook.ts";
import type { NodeSelectors } from "./optional/pod-node-selector.ts";
import type { TolerationRules } from "./optional/pod-toleration-restriction.ts";
import { type PodSecurityRules, usualPodSecurity } from "./pod-security/exemptions.ts";
import { type Level, levelNames, parseVersion } from "./pod-security/levels.ts";

/** Of plugins that have something set; absent: as usual. */
export interface PluginConfigurations {
  readonly podSecurity?: PodSecurityRules | undefined;
  readonly eventLimits?: readonly EventLimit[] | undefined;
  readonly tolerationRules?: TolerationRules | undefined;
  readonly nodeSelectors?: NodeSelectors | undefined;
  readonly imagePolicy?: ImagePolicy | undefined;
  readonly limitedResources?: readonly LimitedResource[] | undefined;
  readonly webhookLogins?: AdmissionLogins | undefined;
}

const readers: Readonly<
  Record<string, { readonly kind: string; readonly read: (root: Field) => PluginConfigurations }>
> = {
  PodSecurity: { kind: "PodSecurityConfiguration", read: podSecurity },
  EventRateLimit: { kind: "Configuration of EventRateLimit", read: eventLimits },
  PodTolerationRestriction: { kind: "Configuration of PodTolerationRestriction", read: tolerationRules },
  ImagePolicyWebhook: { kind: "configuration of ImagePolicyWebhook", read: imagePolicy },
  PodNodeSelector: { kind: "configuration of PodNodeSelector", read: nodeSelectors },
  ResourceQuota: { kind: "ResourceQuotaConfiguration", read: limitedResources },
  MutatingAdmissionWebhook: {
    kind: "WebhookAdmissionConfiguration",
    read: (root) => ({ webhookLogins: { mutating: webhookLogins(root) } }),
  },
  ValidatingAdmissionWebhook: {
    kind: "WebhookAdmissionConfiguration",
    read: (root) => ({ webhookLogins: { validating: webhookLogins(root) } }),
  },
};

/** Throws ConfigError that names all faults of a file. */
export function readAdmissionConfiguration(path: string): PluginConfigurations {
  if (path === "") return {};
  const text = configurationText(path);
  const found: PluginConfigurations[] = [];
  readDocument(text, path, "AdmissionConfiguration", (root) => {
    const { apiVersion, kind, plugins } = root.fields(["apiVersion", "kind", "plugins"]);
    apiVersion.choice("", ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"]);
    kind.choice("", ["AdmissionConfiguration"]);
    for (const plugin of plugins.items()) found.push(pluginConfiguration(plugin, path));
  });
  const webhookLogins = Object.assign({}, ...found.map((each) => each.webhookLogins));
  return Object.assign({}, ...found, { webhookLogins });
}

function pluginConfiguration(plugin: Field, path: string): PluginConfigurations {
  const { name, path: file, configuration } = plugin.fields(["name", "path", "configuration"]);
  const reader = readers[name.text()];
  if (!reader) {
    name.complain(`no settings are known for the plugin ${JSON.stringify(name.text())}`);
    return {};
  }
  if (!configuration.isAbsent) return reader.read(configuration);
  if (file.isAbsent) return {};
  const named = resolve(dirname(path), file.text());
  return readDocument(configurationText(named), named, reader.kind, reader.read);
}

function podSecurity(root: Field): PluginConfigurations {
  const { apiVersion, kind, defaults, exemptions } = root.fields(["apiVersion", "kind", "defaults", "exemptions"]);
  const group = "pod-security.admission.config.k8s.io";
  apiVersion.choice("", [`${group}/v1`, `${group}/v1beta1`, `${group}/v1alpha1`]);
  kind.choice("", ["PodSecurityConfiguration"]);
  const modes = ["enforce", "audit", "warn"] as const;
  const fields = defaults.fields([...modes, "enforce-version", "audit-version", "warn-version"]);
  const levelOf = (mode: (typeof modes)[number]) => ({
    level: fields[mode].choice<Level>("privileged", levelNames),
    version: versionOf(fields[`${mode}-version`]),
  });
  const exempt = exemptions.fields(["usernames", "namespaces", "runtimeClasses"]);
  const texts = (field: Field): readonly string[] => field.items().map((item) => item.text());
  return {
    podSecurity: {
      ...usualPodSecurity,
      defaults: { enforce: levelOf("enforce"), audit: levelOf("audit"), warn: levelOf("warn") },
      exemptions: {
        usernames: texts(exempt.usernames),
        namespaces: texts(exempt.namespaces),
        runtimeClasses: texts(exempt.runtimeClasses),
      },
    },
  };
}

function versionOf(field: Field): number | "latest" {
  const version = parseVersion(field.text("latest") || "latest");
  if (version === undefined)
    field.complain(`Invalid value: ${JSON.stringify(field.value)}: must be "latest" or "v1.x"`);
  return version ?? "latest";
}

function eventLimits(root: Field): PluginConfigurations {
  const { apiVersion, kind, limits } = root.fields(["apiVersion", "kind", "limits"]);
  apiVersion.choice("", ["eventratelimit.admission.k8s.io/v1alpha1"]);
  kind.choice("", ["Configuration"]);
  const items = limits.items();
  if (items.length === 0) limits.complain("Invalid value: must not be empty");
  const positive = { min: 1, max: 2_147_483_647 };
  return {
    eventLimits: items.map((item) => {
      const { type, qps, burst, cacheSize } = item.fields(["type", "qps", "burst", "cacheSize"]);
      if (type.isAbsent) type.complain(`supported values: ${limitTypes.join(", ")}`);
      for (const field of [qps, burst]) if (field.isAbsent) field.complain("Invalid value: 0: must be positive");
      return {
        type: type.choice<EventLimit["type"]>("Server", limitTypes),
        qps: qps.integer(1, positive),
        burst: burst.integer(1, positive),
        cacheSize: cacheSize.integer(0, { ...positive, min: 0 }),
      };
    }),
  };
}

function tolerationRules(root: Field): PluginConfigurations {
  const fields = root.fields(["apiVersion", "kind", "default", "whitelist"]);
  fields.apiVersion.choice("", ["podtolerationrestriction.admission.k8s.io/v1alpha1"]);
  fields.kind.choice("", ["Configuration"]);
  const tolerations = (field: Field): Toleration[] => field.items().map(toleration);
  return { tolerationRules: { default: tolerations(fields.default), whitelist: tolerations(fields.whitelist) } };
}

function toleration(item: Field): Toleration {
  const { key, operator, value, effect, tolerationSeconds } = item.fields([
    ...["key", "operator", "value", "effect", "tolerationSeconds"],
  ]) as Record<string, Field>;
  const given = { key, operator, value, effect };
  const texts = Object.entries(given).flatMap(([name, field]) =>
    field?.isAbsent === false ? [[name, field.text()]] : [],
  );
  const seconds = tolerationSeconds?.isAbsent === false ? { tolerationSeconds: Number(tolerationSeconds.value) } : {};
  return { ...Object.fromEntries(texts), ...seconds };
}

function nodeSelectors(root: Field): PluginConfigurations {
  const { podNodeSelectorPluginConfig: selectors } = root.fields(["podNodeSelectorPluginConfig"]);
  const content = selectors.isAbsent ? {} : selectors.value;
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    selectors.complain("expected a mapping");
    return {};
  }
  return {
    nodeSelectors: Object.fromEntries(Object.entries(content).map(([key, value]) => [key, String(value ?? "")])),
  };
}

function limitedResources(root: Field): PluginConfigurations {
  const { apiVersion, kind, limitedResources: limits } = root.fields(["apiVersion", "kind", "limitedResources"]);
  const former = ["resourcequota.admission.k8s.io/v1beta1", "resourcequota.admission.k8s.io/v1alpha1"];
  apiVersion.choice("", ["apiserver.config.k8s.io/v1", ...former]);
  kind.choice("", [apiVersion.value === "apiserver.config.k8s.io/v1" ? "ResourceQuotaConfiguration" : "Configuration"]);
  return {
    limitedResources: limits.items().map((limit) => {
      const { apiGroup, resource, matchContains, matchScopes } = limit.fields([
        ...(["apiGroup", "resource", "matchContains", "matchScopes"] as const),
      ]);
      if (resource.text() === "") resource.complain("Required value");
      return {
        group: apiGroup.text(),
        plural: resource.text(),
        matchContains: matchContains.items().map((part) => part.text()),
        matchScopes: matchScopes.items().map((scope) => {
          const { scopeName, operator, values } = scope.fields(["scopeName", "operator", "values"]);
          return {
            scopeName: scopeName.text(),
            operator: operator.text(),
            values: values.items().map((value) => value.text()),
          };
        }),
      };
    }),
  };
}

function webhookLogins(root: Field): WebhookLogins | undefined {
  const { apiVersion, kind, kubeConfigFile } = root.fields(["apiVersion", "kind", "kubeConfigFile"]);
  apiVersion.choice("", ["apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1alpha1"]);
  const isFormer = apiVersion.value === "apiserver.config.k8s.io/v1alpha1";
  kind.choice("", [isFormer ? "WebhookAdmission" : "WebhookAdmissionConfiguration"]);
  const file = kubeConfigFile.text();
  if (isAbsolute(file)) return new WebhookLogins(file);
  kubeConfigFile.complain(`Invalid value: ${JSON.stringify(file)}: must be an absolute file path`);
  return undefined;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

function imagePolicy(root: Field): PluginConfigurations {
  const { imagePolicy: policy } = root.fields(["imagePolicy"]);
  const fields = policy.fields(["kubeConfigFile", "allowTTL", "denyTTL", "retryBackoff", "defaultAllow"]);
  const remembered = { unit_ms: SECOND_MS, min_ms: SECOND_MS, max_ms: 30 * MINUTE_MS };
  return {
    imagePolicy: {
      kubeconfig: fields.kubeConfigFile.text(),
      allowTtl_ms: timeIn(fields.allowTTL, { ...remembered, usual_ms: 5 * MINUTE_MS }),
      denyTtl_ms: timeIn(fields.denyTTL, { ...remembered, usual_ms: 30 * SECOND_MS }),
      firstPause_ms: timeIn(fields.retryBackoff, { unit_ms: 1, min_ms: 1e-6, max_ms: 5 * MINUTE_MS, usual_ms: 500 }),
      allowsByDefault: fields.defaultAllow.boolean(false),
    },
  };
}

interface TimeRange {
  readonly unit_ms: number;
  readonly min_ms: number;
  readonly max_ms: number;
  readonly usual_ms: number;
}

/** As upstream: 0 stands for what is usual, and -1 for no time at all. */
function timeIn(field: Field, { unit_ms, min_ms, max_ms, usual_ms }: TimeRange): number {
  const number = field.integer(0, { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  if (number === 0) return usual_ms;
  if (number === -1) return 0;
  const time_ms = number * unit_ms;
  if (time_ms < min_ms || time_ms > max_ms) {
    const [least, most, given] = [min_ms, max_ms, time_ms].map((each_ms) => formatGoDuration(BigInt(each_ms * 1e6)));
    field.complain(`valid value is between ${least} and ${most}, got ${given}`);
  }
  return time_ms;
}
