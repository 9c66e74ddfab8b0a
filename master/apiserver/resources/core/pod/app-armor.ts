/** Annotations that named AppArmor's profiles before there was a field: a new pod gets the field from them. */
import type { AppArmorProfile, Pod } from "#shared/api/types/core-v1.generated.ts";
import { semanticEqual } from "../../validation/field.ts";
import { appArmorAnnotation, maxProfilePath_bytes } from "./validate-security.ts";

const told = new WeakMap<Readonly<Pod>, readonly string[]>();

/** Gives each container the profile that an annotation names, unless it has one or the pod's is the same. Changes the draft. */
export function adoptAppArmorAnnotations(draft: Pod): void {
  const { annotations = {} } = draft.metadata;
  const { spec } = draft;
  if (spec.os?.name === "windows" || !Object.keys(annotations).some((key) => key.startsWith(appArmorAnnotation)))
    return;
  const warnings: string[] = [];
  const ofPod = spec.securityContext?.appArmorProfile;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]) {
    const key = appArmorAnnotation + container.name;
    const annotation = annotations[key];
    if (annotation === undefined) continue;
    const profile = profileOf(annotation);
    const own = container.securityContext?.appArmorProfile;
    const isNews = profile !== undefined && !semanticEqual(profile, ofPod);
    if (isNews && !own) container.securityContext = { ...container.securityContext, appArmorProfile: profile };
    if (profile === undefined || (isNews && !semanticEqual(profile, own)))
      warnings.push(`metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`);
  }
  told.set(draft, warnings);
}

/** What adopting them had to say of a new pod. */
export const appArmorWarnings = (pod: Readonly<Pod>): readonly string[] => told.get(pod) ?? [];

/** undefined for one that no field can say. */
function profileOf(annotation: string): AppArmorProfile | undefined {
  if (annotation === "unconfined") return { type: "Unconfined" };
  if (annotation === "runtime/default") return { type: "RuntimeDefault" };
  const path = annotation.startsWith("localhost/") ? annotation.slice("localhost/".length) : "";
  if (path === "" || path.trim() !== path || path.length > maxProfilePath_bytes) return undefined;
  return { type: "Localhost", localhostProfile: path };
}
