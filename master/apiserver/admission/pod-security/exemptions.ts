import { type LevelVersion, privileged } from "./levels.ts";

/** Levels of namespaces whose labels say nothing. */
export interface DefaultLevels {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
}

/** Who is held to no level. */
export interface Exemptions {
  readonly usernames: readonly string[];
  readonly namespaces: readonly string[];
  readonly runtimeClasses: readonly string[];
}

export interface PodSecurityRules {
  readonly defaults: DefaultLevels;
  readonly exemptions: Exemptions;
}

export const usualPodSecurity: PodSecurityRules = {
  defaults: { enforce: privileged, audit: privileged, warn: privileged },
  exemptions: { usernames: [], namespaces: [], runtimeClasses: [] },
};

/** By what a pod, or what makes pods, is held to no level; undefined: it is. */
export function exemptionOf(
  { usernames, namespaces, runtimeClasses }: Exemptions,
  asked: { readonly user: string; readonly namespace: string; readonly runtimeClass: string | undefined },
): "namespace" | "user" | "runtimeClass" | undefined {
  if (namespaces.includes(asked.namespace)) return "namespace";
  if (usernames.includes(asked.user)) return "user";
  return runtimeClasses.includes(asked.runtimeClass ?? "") ? "runtimeClass" : undefined;
}
