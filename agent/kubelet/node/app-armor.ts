import { existsSync, readFileSync } from "node:fs";
import type { AppArmorProfile, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Refusal } from "./pod-admission.ts";

/** Does this kernel hold containers to AppArmor profiles? */
export function hasAppArmor(root = "/"): boolean {
  const enabled = `${root}sys/module/apparmor/parameters/enabled`;
  if (!existsSync(`${root}sys/kernel/security/apparmor`) || !existsSync(enabled)) return false;
  return readFileSync(enabled, "utf8").startsWith("Y");
}

/** A pod that is to be held to a profile does not run where nothing would hold it. */
export function refuseAppArmor({ spec }: Pod, isEnforced: boolean): Refusal | undefined {
  const containers = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
  const isAsked = (profile: AppArmorProfile | undefined): boolean =>
    profile !== undefined && profile.type !== "Unconfined";
  const isNeeded = [spec, ...containers].some(({ securityContext }) => isAsked(securityContext?.appArmorProfile));
  if (isEnforced || !isNeeded) return undefined;
  return { reason: "AppArmor", message: "Cannot enforce AppArmor: AppArmor is not enabled on the host" };
}
