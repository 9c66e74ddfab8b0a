import { isAlreadyExists } from "#shared/api/errors.ts";
import { namespaces, serviceAccounts } from "#shared/api/resources.ts";
import { defineController, watching } from "#shared/client/controller.ts";

const name = "default";

/** Keeps a service account `default` in every namespace, which pods that name none run as. */
export const serviceAccountController = defineController({
  name: "serviceaccount-controller",
  serviceAccount: "service-account-controller",
  watches: [
    watching(namespaces),
    watching(serviceAccounts, {
      enqueue: ({ metadata }) => (metadata.name === name && metadata.namespace ? [metadata.namespace] : []),
      when: ({ type }) => type === "delete",
    }),
  ],
  async reconcile(key, { lister, client }) {
    const namespace = lister(namespaces).get(key);
    if (!namespace || namespace.metadata.deletionTimestamp || namespace.status?.phase === "Terminating") return;
    if (lister(serviceAccounts).get(`${key}/${name}`)) return;
    try {
      await client.create(serviceAccounts, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name, namespace: key },
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  },
});
