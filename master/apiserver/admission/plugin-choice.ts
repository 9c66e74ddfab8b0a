/** Which admission plugins run (--enable-admission-plugins, --disable-admission-plugins). */
import { optionalAdmissionPlugins } from "#shared/config/admission-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";

/** Those that run unless they are disabled. */
export const usual = [
  "NamespaceLifecycle",
  "LimitRanger",
  "ServiceAccount",
  // Off in upstream unless it is enabled, which everybody does.
  "NodeRestriction",
  "TaintNodesByCondition",
  "PodSecurity",
  "Priority",
  "DefaultTolerationSeconds",
  "DefaultStorageClass",
  "StorageObjectInUseProtection",
  "PersistentVolumeClaimResize",
  "RuntimeClass",
  "CertificateApproval",
  "CertificateSigning",
  "CertificateSubjectRestriction",
  "DefaultIngressClass",
  "PodTopologyLabels",
  "MutatingAdmissionPolicy",
  "MutatingAdmissionWebhook",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionWebhook",
  "ResourceQuota",
];

export type OptionalPlugin = (typeof optionalAdmissionPlugins)[number];

/** Upstream's that would have nothing to look at here, so that nothing is missed whether they run or not. */
const idle = ["AlwaysAdmit", "ClusterTrustBundleAttest", "NodeDeclaredFeatureValidator"];

export interface PluginChoice {
  isEnabled(plugin: OptionalPlugin): boolean;
  isDisabled(plugin: string): boolean;
}

export const usualPlugins: PluginChoice = { isEnabled: () => false, isDisabled: () => false };

type Settings = Pick<MasterSettings, "enableAdmissionPlugins" | "disableAdmissionPlugins">;

/** Throws ConfigError, worded as upstream. */
export function pluginChoiceOf({ enableAdmissionPlugins: on, disableAdmissionPlugins: off }: Settings): PluginChoice {
  const known: readonly string[] = [...usual, ...optionalAdmissionPlugins, ...idle];
  for (const [setting, names] of [
    ["enable-admission-plugins", on],
    ["disable-admission-plugins", off],
  ] as const) {
    const stranger = names.find((name) => !known.includes(name));
    if (stranger !== undefined) throw new ConfigError(`${setting} plugin ${JSON.stringify(stranger)} is unknown`);
  }
  const both = on.filter((name) => off.includes(name)).sort();
  if (both.length > 0)
    throw new ConfigError(`[${both.join(" ")}] in enable-admission-plugins and disable-admission-plugins overlapped`);
  return { isEnabled: (plugin) => on.includes(plugin), isDisabled: (plugin) => off.includes(plugin) };
}
