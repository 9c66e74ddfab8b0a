import { isAlreadyExists } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { persistentVolumeClaims, pods } from "#shared/api/resources.ts";
import { defineController, TerminalError, watching } from "#shared/client/controller.ts";

/** Makes the claims of pods' generic ephemeral volumes (KEP-1698); they go with their pod. */
export const ephemeralVolumeController = defineController({
  name: "ephemeral-volume-controller",
  eventSource: "ephemeral_volume",
  watches: [
    watching(pods, {
      when: ({ type, object }) =>
        type !== "delete" &&
        !object.metadata.deletionTimestamp &&
        (object.spec?.volumes?.some(({ ephemeral }) => ephemeral) ?? false),
    }),
    watching(persistentVolumeClaims, {
      enqueue: ({ metadata }) => {
        const owner = metadata.ownerReferences?.find(({ controller, kind }) => controller && kind === "Pod");
        return owner ? [`${metadata.namespace}/${owner.name}`] : [];
      },
      when: ({ type }) => type === "delete",
    }),
  ],
  async reconcile(key, { lister, client, events }) {
    const pod = lister(pods).get(key);
    if (!pod || pod.metadata.deletionTimestamp) return;
    const { namespace = "", name: podName = "", uid = "" } = pod.metadata;
    for (const { name: volume, ephemeral } of pod.spec?.volumes ?? []) {
      const template = ephemeral?.volumeClaimTemplate;
      if (!template) continue;
      const name = `${podName}-${volume}`;
      const tell = (why: string): void => {
        const message = `ephemeral volume ${volume}: ${why}`;
        events.record(pod, { type: "Warning", reason: "FailedBinding", message });
      };
      const present = lister(persistentVolumeClaims).get(`${namespace}/${name}`);
      if (present) {
        if (present.metadata.ownerReferences?.some((owner) => owner.controller && owner.uid === uid)) continue;
        const why = `PVC ${namespace}/${name} was not created for pod ${key} (pod is not owner)`;
        tell(why);
        throw new TerminalError(why);
      }
      const { labels, annotations } = template.metadata ?? {};
      try {
        await client.create(persistentVolumeClaims, {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          metadata: {
            name,
            namespace,
            ...(labels ? { labels } : {}),
            ...(annotations ? { annotations } : {}),
            ownerReferences: [
              { apiVersion: "v1", kind: "Pod", name: podName, uid, controller: true, blockOwnerDeletion: true },
            ],
          },
          spec: template.spec,
        });
      } catch (error) {
        // The cache was behind: whose it is shows at the next look.
        if (!isAlreadyExists(error)) tell(`create PVC ${name}: ${messageOf(error)}`);
        throw error;
      }
    }
  },
});
