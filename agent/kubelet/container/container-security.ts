import { join } from "node:path";
import type { ContainerSecurity, ImageStatus } from "#agent/runtime/runtime.ts";
import type { AppArmorProfile, Container, Pod, SeccompProfile } from "#shared/api/types/core-v1.generated.ts";
import { formatPod } from "../pod-containers.ts";
import { configError } from "./container-error.ts";

export interface SeccompRules {
  /** Folder of Localhost profiles. */
  readonly root: string;
  /** Whether containers that name no profile get the runtime's own. */
  readonly isDefault: boolean;
}

/**
 * The container's security settings: its own over its pod's. Throws ContainerStartError when the container must not run
 * as root and would.
 */
export function containerSecurity(
  pod: Pod,
  container: Container,
  image: ImageStatus | undefined,
  profiles: SeccompRules,
): ContainerSecurity {
  const ofPod = pod.spec.securityContext ?? {};
  const own = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? ofPod.runAsUser;
  if (own.runAsNonRoot ?? ofPod.runAsNonRoot) verifyNonRoot(pod, container, runAsUser, image);
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  const imageUser = runAsUser === undefined ? image?.user : undefined;
  return {
    privileged: own.privileged ?? false,
    readOnlyRootFilesystem: own.readOnlyRootFilesystem ?? false,
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
    // The image's own user stands, unless a group must be joined to it.
    runAsUser: runAsUser ?? (runAsGroup !== undefined && imageUser && "uid" in imageUser ? imageUser.uid : undefined),
    runAsUserName:
      runAsGroup !== undefined && imageUser && "username" in imageUser && imageUser.username
        ? imageUser.username
        : undefined,
    runAsGroup,
    supplementalGroups: [...(ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup]), ...(ofPod.supplementalGroups ?? [])],
    seccomp: seccomp(own.seccompProfile ?? ofPod.seccompProfile, profiles),
    apparmor: appArmor(own.appArmorProfile ?? ofPod.appArmorProfile),
    maskedPaths: own.procMount === "Unmasked" ? "unmasked" : "default",
  };
}

function verifyNonRoot(
  pod: Pod,
  container: Container,
  runAsUser: number | undefined,
  image: ImageStatus | undefined,
): void {
  const where = `(pod: "${formatPod(pod)}", container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw configError(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  const user = image?.user;
  if (user && "username" in user && user.username) {
    throw configError(
      `container has runAsNonRoot and image has non-numeric user (${user.username}), cannot verify user is non-root ${where}`,
    );
  }
  const uid = user && "uid" in user ? user.uid : 0;
  if (uid === 0) throw configError(`container has runAsNonRoot and image will run as root ${where}`);
}

/** Without a profile containers run unconfined, as upstream does by default. */
function seccomp(profile: SeccompProfile | undefined, { root, isDefault }: SeccompRules): string {
  switch (profile?.type) {
    case "RuntimeDefault":
      return "runtime/default";
    case "Localhost":
      if (!profile.localhostProfile) {
        throw configError("localhostProfile must be set if seccompProfile type is Localhost.");
      }
      return join(root, profile.localhostProfile);
    case undefined:
      return isDefault ? "runtime/default" : "unconfined";
    default:
      return "unconfined";
  }
}

function appArmor(profile: AppArmorProfile | undefined): string | undefined {
  switch (profile?.type) {
    case "Localhost":
      // By its kind: a profile may be called as if there were none.
      return `localhost/${profile.localhostProfile ?? ""}`;
    case "Unconfined":
      return "unconfined";
    default:
      return undefined;
  }
}
