import { isAlreadyExists } from "#shared/api/errors.ts";
import { configMaps, namespaces, secrets } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { type ControllerDefinition, defineController, everyKeyOf, watching } from "#shared/client/controller.ts";
import { clusterKeys } from "../pki/cluster-keys.ts";

const name = "kube-root-ca.crt";
const scope = { fieldSelector: `metadata.name=${name}` };
const description = "The authority that signs the API server's certificates, for clients inside of the cluster.";

/** Keeps the cluster's CA (PEM, as it is at the time) in a ConfigMap of every namespace, from where pods get it beside their
 *  token. */
export function rootCaPublisher(rootCa: () => string): ControllerDefinition {
  return defineController({
    name: "root-ca-certificate-publisher-controller",
    serviceAccount: "root-ca-cert-publisher",
    watches: [
      watching(namespaces),
      watching(configMaps, {
        scope,
        enqueue: ({ metadata }) => (metadata.namespace ? [metadata.namespace] : []),
      }),
      watching(secrets, { scope: clusterKeys, enqueue: everyKeyOf(namespaces) }),
    ],
    async reconcile(key, { lister, client }) {
      const caPem = rootCa();
      const namespace = lister(namespaces).get(key);
      if (!namespace || namespace.metadata.deletionTimestamp || namespace.status?.phase === "Terminating") return;
      const present = lister(configMaps, scope).get(`${key}/${name}`);
      if (present && isRight(present, caPem)) return;
      if (present) {
        const annotations = { ...present.metadata.annotations, [descriptionKey]: description };
        const metadata = { ...present.metadata, annotations };
        await client.update(configMaps, { ...present, metadata, data: { "ca.crt": caPem } });
        return;
      }
      try {
        await client.create(configMaps, {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name, namespace: key, annotations: { [descriptionKey]: description } },
          data: { "ca.crt": caPem },
        });
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    },
  });
}

const descriptionKey = "kubernetes.io/description";

function isRight({ data = {}, metadata }: ConfigMap, caPem: string): boolean {
  const isDescribed = (metadata.annotations?.[descriptionKey] ?? "") !== "";
  return Object.keys(data).length === 1 && data["ca.crt"] === caPem && isDescribed;
}
