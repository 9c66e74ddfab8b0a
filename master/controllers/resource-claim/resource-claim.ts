import { keyOf } from "#shared/api/object.ts";
import { pods, resourceClaims, resourceClaimTemplates } from "#shared/api/resources.ts";
import { resourceClaimKeysOf } from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { byControllerUid, controllerOf, defineController, watching } from "#shared/client/controller.ts";
import { furnishPod } from "./claim-making.ts";
import { isDone, keepClaim } from "./claim-upkeep.ts";

const podKey = (key: string): string => `pod:${key}`;
const claimKey = (key: string): string => `claim:${key}`;

/** Claims named by the pod, as far as something is to be done for them when it is done or gone. */
const keysOfPod = (pod: Pod): string[] => {
  if (!pod.spec?.resourceClaims?.length) return [];
  const claims = resourceClaimKeysOf(pod).map(claimKey);
  return isDone(pod) ? claims : [podKey(keyOf(pod)), ...claims];
};

/** Makes ResourceClaims out of templates for pods, and takes back what pods have used (KEP-4381). */
export const resourceClaimController = defineController({
  name: "resourceclaim-controller",
  eventSource: "resource_claim",
  serviceAccount: "resource-claim-controller",
  watches: [
    watching(pods, {
      indexes: { resourceClaim: resourceClaimKeysOf, claimTemplate: templateKeysOf },
      enqueue: keysOfPod,
      when: ({ object }) => (object.spec?.resourceClaims?.length ?? 0) > 0,
    }),
    watching(resourceClaims, {
      indexes: { controller: byControllerUid },
      // Before the cache shows them they would be made again.
      writes: true,
      enqueue: (claim, context) => [
        claimKey(keyOf(claim)),
        ...[...controllerOf("Pod")(claim, context)].map(podKey),
        ...context
          .lister(pods)
          .byIndex("resourceClaim", keyOf(claim))
          .map((pod) => podKey(keyOf(pod))),
      ],
    }),
    watching(resourceClaimTemplates, {
      enqueue: (template, { lister }) =>
        lister(pods)
          .byIndex("claimTemplate", keyOf(template))
          .map((pod) => podKey(keyOf(pod))),
      when: ({ type }) => type === "add",
    }),
  ],
  async reconcile(key, context) {
    const [kind, object = ""] = splitOnce(key);
    if (kind === "pod") return furnishPod(object, context);
    await keepClaim(object, context);
    return undefined;
  },
});

function templateKeysOf({ metadata, spec }: Pod): string[] {
  return (spec?.resourceClaims ?? []).flatMap(({ resourceClaimTemplateName: name }) =>
    name === undefined ? [] : [`${metadata.namespace}/${name}`],
  );
}

const splitOnce = (key: string): [string, string] => {
  const at = key.indexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
};
