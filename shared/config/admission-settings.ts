/** What is asked of writes before they are let in: upstream's flags. */
import { text, texts, under } from "./option.ts";

/** Those that run where they are enabled. */
export const optionalAdmissionPlugins = [
  "AlwaysDeny",
  "AlwaysPullImages",
  "DenyServiceExternalIPs",
  "EventRateLimit",
  "ExtendedResourceToleration",
  "ImagePolicyWebhook",
  "LimitPodHardAntiAffinityTopology",
  "NamespaceAutoProvision",
  "NamespaceExists",
  "OwnerReferencesPermissionEnforcement",
  "PodNodeSelector",
  "PodTolerationRestriction",
] as const;

export const admissionOptions = under("What writes have to be like (admission):", {
  enableAdmissionPlugins: texts(
    "enable-admission-plugins",
    "PLUGIN",
    `admission plugins to run beside the usual ones: ${optionalAdmissionPlugins.join(", ")}`,
  ),
  disableAdmissionPlugins: texts("disable-admission-plugins", "PLUGIN", "usual admission plugins that are not to run"),
  admissionControlConfigFile: text(
    "admission-control-config-file",
    "FILE",
    "AdmissionConfiguration (apiserver.config.k8s.io/v1): settings of PodSecurity, EventRateLimit, ImagePolicyWebhook, MutatingAdmissionWebhook, PodNodeSelector, PodTolerationRestriction, ResourceQuota, ValidatingAdmissionWebhook",
    "",
  ),
} as const);
