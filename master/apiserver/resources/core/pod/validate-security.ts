/** Security contexts of pods and containers. */
import type {
  AppArmorProfile,
  Container,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
  WindowsSecurityContextOptions,
} from "#shared/api/types/core-v1.generated.ts";
import { type Field, oneOf } from "../../validation/field.ts";
import { isDns1123Subdomain, isId } from "../../validation/names.ts";
import { validateLocalDescendingPath } from "../volume-sources.ts";
import { capabilities } from "./capabilities.ts";
import { eachContainer } from "./containers.ts";

const seccompPodAnnotation = "seccomp.security.alpha.kubernetes.io/pod";
const seccompContainerAnnotation = "container.seccomp.security.alpha.kubernetes.io/";
export const appArmorAnnotation = "container.apparmor.security.beta.kubernetes.io/";
const profileTypes = ["Localhost", "RuntimeDefault", "Unconfined"];
export const maxProfilePath_bytes = 4095;

function validateIds(context: Pick<PodSecurityContext, "runAsUser" | "runAsGroup">, field: Field): void {
  for (const key of ["runAsUser", "runAsGroup"] as const) {
    const id = context[key];
    if (id !== undefined) field.at(key).invalidEach(id, isId(id));
  }
}

/** The shared namespaces stand beside the security context in a pod's spec; upstream judges them together. */
export function validatePodSecurity(spec: PodSpec, field: Field): void {
  const context = spec.securityContext;
  if (context === undefined) return;
  const at = field.at("securityContext");
  if (context.fsGroup !== undefined) at.at("fsGroup").invalidEach(context.fsGroup, isId(context.fsGroup));
  validateIds(context, at);
  for (const [index, id] of (context.supplementalGroups ?? []).entries()) {
    at.at("supplementalGroups").index(index).invalidEach(id, isId(id));
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    at.at("shareProcessNamespace").invalid(true, "ShareProcessNamespace and HostPID cannot both be enabled");
  }
  validateSysctls(spec, context, at.at("sysctls"));
  const { fsGroupChangePolicy, supplementalGroupsPolicy, seLinuxChangePolicy } = context;
  if (fsGroupChangePolicy !== undefined) {
    oneOf(fsGroupChangePolicy, ["Always", "OnRootMismatch"], at.at("fsGroupChangePolicy"));
  }
  validateSeccomp(context.seccompProfile, at.at("seccompProfile"));
  validateWindowsOptions(context.windowsOptions, at.at("windowsOptions"));
  validateAppArmor(context.appArmorProfile, at.at("appArmorProfile"));
  if (supplementalGroupsPolicy !== undefined) {
    oneOf(supplementalGroupsPolicy, ["Merge", "Strict"], at.at("supplementalGroupsPolicy"));
  }
  if (seLinuxChangePolicy !== undefined) {
    const policy = at.at("seLinuxChangePolicy");
    // Behind a gate that upstream keeps closed.
    const isGated = seLinuxChangePolicy === "MountOption";
    oneOf(seLinuxChangePolicy, ["Recursive"], isGated ? policy.ruled("SELinux change policy") : policy);
  }
}

const sysctlPattern = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const isSysctlName = new RegExp(`^${sysctlPattern}$`);

function validateSysctls(spec: PodSpec, context: PodSecurityContext, field: Field): void {
  const seen = new Set<string>();
  for (const [index, { name = "" }] of (context.sysctls ?? []).entries()) {
    const at = field.index(index).at("name");
    if (name === "") at.required();
    else if (name.length > 253 || !isSysctlName.test(name)) {
      at.invalid(name, `must have at most 253 characters and match regex ^${sysctlPattern}$`);
    } else if (seen.has(name)) at.duplicate(name);
    const dotted = name.replaceAll("/", ".");
    const ofHost = at.ruled("sysctls of the host");
    if (spec.hostNetwork && dotted.startsWith("net.")) {
      ofHost.invalid(name, "may not be specified when 'hostNetwork' is true");
    } else if (spec.hostIPC && /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(dotted)) {
      ofHost.invalid(name, "may not be specified when 'hostIPC' is true");
    }
    seen.add(name);
  }
}

function validateSeccomp(profile: SeccompProfile | undefined, field: Field): void {
  if (profile === undefined) return;
  const { type, localhostProfile } = profile;
  if (!type) field.at("type").required("type is required when seccompProfile is set");
  else oneOf(type, profileTypes, field.at("type"));
  const at = field.at("localhostProfile");
  if (type === "Localhost") {
    if (localhostProfile === undefined) at.required("must be set when seccomp type is Localhost");
    else validateLocalDescendingPath(localhostProfile, at);
  } else if (localhostProfile !== undefined) {
    at.invalid({ Type: type, LocalhostProfile: localhostProfile }, "can only be set when seccomp type is Localhost");
  }
}

function validateAppArmor(profile: AppArmorProfile | undefined, field: Field): void {
  if (profile === undefined) return;
  const { type, localhostProfile: path } = profile;
  const at = field.at("localhostProfile");
  if (type === "Localhost") {
    if (path === undefined || path === "") at.required("must be set when AppArmor type is Localhost");
    else if (path.trim() !== path) at.invalid(path, "must not be padded with whitespace");
    if ((path ?? "").length > maxProfilePath_bytes) at.tooLong(maxProfilePath_bytes);
  } else if (type === "RuntimeDefault" || type === "Unconfined") {
    if (path !== undefined) at.invalid(path, "can only be set when AppArmor type is Localhost");
  } else if (!type) field.at("type").required("type is required when appArmorProfile is set");
  else field.at("type").notSupported(type, profileTypes);
}

/** As upstream prints it: all fields of its struct, by their Go names. */
const asInternal = (context: SecurityContext) => ({
  Capabilities: context.capabilities
    ? { Add: context.capabilities.add ?? null, Drop: context.capabilities.drop ?? null }
    : null,
  Privileged: context.privileged ?? null,
  SELinuxOptions: context.seLinuxOptions ?? null,
  WindowsOptions: context.windowsOptions ?? null,
  RunAsUser: context.runAsUser ?? null,
  RunAsGroup: context.runAsGroup ?? null,
  RunAsNonRoot: context.runAsNonRoot ?? null,
  ReadOnlyRootFilesystem: context.readOnlyRootFilesystem ?? null,
  AllowPrivilegeEscalation: context.allowPrivilegeEscalation ?? null,
  ProcMount: context.procMount ?? null,
  SeccompProfile: context.seccompProfile ?? null,
  AppArmorProfile: context.appArmorProfile ?? null,
});

export function validateContainerSecurity(
  context: SecurityContext | undefined,
  field: Field,
  hostUsers: boolean,
): void {
  if (context === undefined) return;
  const { procMount, privileged } = context;
  if (privileged && !capabilities.allowsPrivileged) field.at("privileged").forbidden("disallowed by cluster policy");
  validateIds(context, field);
  if (procMount !== undefined) {
    oneOf(procMount, ["Default", "Unmasked"], field.at("procMount"));
    if (hostUsers && procMount === "Unmasked") {
      field.at("procMount").invalid(procMount, "`hostUsers` must be false to use `Unmasked`");
    }
  }
  validateSeccomp(context.seccompProfile, field.at("seccompProfile"));
  if (context.allowPrivilegeEscalation === false) {
    if (privileged)
      field.invalid(asInternal(context), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    for (const _ of (context.capabilities?.add ?? []).filter((name) => name === "CAP_SYS_ADMIN")) {
      field.invalid(
        asInternal(context),
        "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
      );
    }
  }
  validateWindowsOptions(context.windowsOptions, field.at("windowsOptions"));
  validateAppArmor(context.appArmorProfile, field.at("appArmorProfile"));
}

/** What Windows pods may say; nodes of this cluster run Linux, so user names get only the common checks. */
function validateWindowsOptions(options: WindowsSecurityContextOptions | undefined, field: Field): void {
  if (options === undefined) return;
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: credential, runAsUserName: user } = options;
  if (name !== undefined) field.at("gmsaCredentialSpecName").invalidEach(name, isDns1123Subdomain(name));
  if (credential === "") field.at("gmsaCredentialSpec").invalid("", "gmsaCredentialSpec cannot be an empty string");
  else if ((credential ?? "").length > 64 * 1024) {
    field.at("gmsaCredentialSpec").invalid(credential, "gmsaCredentialSpec size must be under 64 KiB");
  }
  if (user === "") field.at("runAsUserName").invalid("", "runAsUserName cannot be an empty string");
}

const windowsForbidden = {
  pod: [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
  ],
  spec: ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"],
  container: [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
  ],
} as const;

/** What does not go with the operating system that the pod names. */
export function validateOS(spec: PodSpec, field: Field): void {
  if (spec.os === undefined) return;
  const { name } = spec.os;
  if (!name) field.at("os", "name").required();
  else if (name !== "linux" && name !== "windows") field.at("os").notSupported(name, ["linux", "windows"]);
  else if (name === "linux") {
    const message = "windows options cannot be set for a linux pod";
    if (spec.securityContext?.windowsOptions) field.at("securityContext", "windowsOptions").forbidden(message);
    eachContainer(spec, field, ({ securityContext }, at) => {
      if (securityContext?.windowsOptions) at.at("securityContext", "windowsOptions").forbidden(message);
    });
  } else validateWindows(spec, field);
}

function validateWindows(spec: PodSpec, field: Field): void {
  const message = "cannot be set for a windows pod";
  for (const key of windowsForbidden.spec) if (spec[key]) field.at(key).forbidden(message);
  for (const key of windowsForbidden.pod) {
    if (spec.securityContext?.[key] !== undefined) field.at("securityContext", key).forbidden(message);
  }
  eachContainer(spec, field, ({ securityContext }, at) => {
    for (const key of windowsForbidden.container) {
      if (securityContext?.[key] !== undefined) at.at("securityContext", key).forbidden(message);
    }
  });
}

type Annotations = Readonly<Record<string, string>> | undefined;

function validateSeccompText(profile: string, field: Field): void {
  if (["runtime/default", "docker/default", "unconfined"].includes(profile)) return;
  if (profile.startsWith("localhost/")) validateLocalDescendingPath(profile.slice("localhost/".length), field);
  else field.invalid(profile, "must be a valid seccomp profile");
}

/** Annotations that say the same as fields did not exist for once. */
export function validateSecurityAnnotations(annotations: Annotations, spec: PodSpec, field: Field): void {
  const names = new Set<string>();
  eachContainer(spec, field, ({ name }) => names.add(name));
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (key === seccompPodAnnotation || key.startsWith(seccompContainerAnnotation)) {
      validateSeccompText(value, field.at(key));
    }
    if (!key.startsWith(appArmorAnnotation)) continue;
    const container = key.slice(appArmorAnnotation.length);
    if (!names.has(container)) field.key(key).invalid(container, "container not found");
    if (value !== "" && value !== "runtime/default" && value !== "unconfined" && !value.startsWith("localhost/")) {
      field.key(key).invalid(value, `invalid AppArmor profile name: ${JSON.stringify(value)}`);
    }
  }
}

interface Profile {
  readonly type: string;
  readonly localhostProfile?: string | undefined;
}

function validateMatch(kind: "seccomp" | "apparmor", text: string | undefined, profile: Profile, field: Field): void {
  if (text === undefined) return;
  const expected: Record<string, readonly string[]> = {
    Unconfined: ["unconfined"],
    RuntimeDefault: kind === "seccomp" ? ["runtime/default", "docker/default"] : ["runtime/default"],
  };
  const mismatch = `${kind} type in annotation and field must match`;
  if (profile.type === "Localhost") {
    if (!text.startsWith("localhost/")) field.at("type").forbidden(mismatch);
    else if (text.slice("localhost/".length) !== profile.localhostProfile) {
      field.at("localhostProfile").forbidden(`${kind} profile in annotation and field must match`);
    }
  } else if (expected[profile.type]?.includes(text) === false) field.at("type").forbidden(mismatch);
}

/** Where an annotation and its field are both given they must agree: judged on create and in templates. */
export function validateAnnotationsMatchFields(annotations: Annotations, spec: PodSpec, field: Field): void {
  const podSeccomp = spec.securityContext?.seccompProfile;
  if (podSeccomp) {
    validateMatch(
      "seccomp",
      annotations?.[seccompPodAnnotation],
      podSeccomp,
      field.at("securityContext", "seccompProfile"),
    );
  }
  eachContainer(spec, field, ({ name, securityContext }: Container, at) => {
    const seccomp = securityContext?.seccompProfile;
    if (seccomp) {
      const text = annotations?.[`${seccompContainerAnnotation}${name}`];
      validateMatch("seccomp", text, seccomp, at.at("securityContext", "seccompProfile"));
    }
    const appArmor = securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile;
    if (appArmor && spec.os?.name !== "windows") {
      const text = annotations?.[`${appArmorAnnotation}${name}`];
      validateMatch("apparmor", text, appArmor, at.at("securityContext", "appArmorProfile"));
    }
  });
}

/** User namespaces exclude sharing the host's. */
export function validateHostUsers(spec: PodSpec, field: Field): void {
  if (spec.hostUsers !== false) return;
  const message = "when `hostUsers` is false";
  if (spec.hostNetwork) field.at("hostNetwork").ruled("user namespaces on the host's network").forbidden(message);
  if (spec.hostPID) field.at("HostPID").forbidden(message);
  if (spec.hostIPC) field.at("HostIPC").forbidden(message);
  eachContainer(spec, field, ({ volumeDevices }, at) => {
    if (volumeDevices?.length) at.at("volumeDevices").ruled("user namespaces with devices").forbidden(message);
  });
}

export function validateHostProcess(spec: PodSpec, field: Field): void {
  const ofPod = spec.securityContext?.windowsOptions?.hostProcess;
  let count = 0;
  let hostProcesses = 0;
  eachContainer(spec, field, ({ securityContext }, at) => {
    count++;
    const ofContainer = securityContext?.windowsOptions?.hostProcess;
    if (ofPod !== undefined && ofContainer !== undefined && ofPod !== ofContainer) {
      at.at("securityContext", "windowsOptions", "hostProcess").invalid(
        ofContainer,
        `pod hostProcess value must be identical if both are specified, was ${ofPod}`,
      );
    }
    if (ofContainer ?? ofPod) hostProcesses++;
  });
  if (hostProcesses === 0) return;
  if (hostProcesses !== count) {
    field.invalid("", "If pod contains any hostProcess containers then all containers must be HostProcess containers");
  }
  if (!spec.hostNetwork) {
    field.at("hostNetwork").invalid(false, "hostNetwork must be true if pod contains any hostProcess containers");
  }
  if (!capabilities.allowsPrivileged) field.forbidden("hostProcess containers are disallowed by cluster policy");
}
