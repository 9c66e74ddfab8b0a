import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { podContainers } from "./pod-containers.ts";

/** Names are parts of paths on the board: what would lead elsewhere is none, nor is what no file can be called. */
const isPathPart = (name: string | undefined): boolean =>
  name !== undefined && /^[^/\p{Cc}]{1,253}$/u.test(name) && name !== "." && name !== "..";

/**
 * Why nothing on the board can be done for a pod: it has no identity of its own. No API server gives such a pod, unless a
 * hand wrote it into the store. undefined: it has one.
 */
export function withoutIdentity({ metadata: { uid, namespace, name } }: Pod): string | undefined {
  for (const [field, value] of Object.entries({ uid, namespace, name }))
    if (!isPathPart(value)) return `metadata.${field}: Invalid value: ${JSON.stringify(value ?? "")}`;
  return undefined;
}

/** Why what a pod asks for cannot be run, whatever board it is on. undefined: it can. */
export function unfitSpec({ spec }: Pod): string | undefined {
  if (!spec?.containers?.length) return "spec.containers: Required value";
  const containers = podContainers(spec).map(({ container: { name } }) => name);
  return (
    unfitName(containers, "a container") ??
    unfitName(
      (spec.volumes ?? []).map(({ name }) => name),
      "a volume",
    )
  );
}

function unfitName(names: readonly string[], what: string): string | undefined {
  const unfit = names.find((name) => !isPathPart(name));
  if (unfit !== undefined) return `the name of ${what}: Invalid value: ${JSON.stringify(unfit)}`;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `the name of ${what}: Duplicate value: ${JSON.stringify(twice)}`;
}
