import { createHash } from "node:crypto";
import { parseAllDocuments } from "yaml";
import type { Container, Pod, Probe, Volume } from "#shared/api/types/core-v1.generated.ts";
import { apiReference } from "./api-reference.ts";

/** A manifest that holds no pod a node can run. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

/**
 * The pods of a manifest (YAML or JSON, several documents allowed) as this node runs them: named after the node, with a
 * UID that follows the content, and with the defaults that the API would have set. Throws ManifestError.
 * @param path tells two files of the same content apart.
 */
export function parseStaticPods(text: string, path: string, nodeName: string): Pod[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    const fault = document.errors[0];
    if (fault) throw new ManifestError(fault.message);
    const value: unknown = document.toJS();
    if (value === null || value === undefined) return [];
    const pod = value as Partial<Pod>;
    if (pod.kind !== "Pod" || pod.apiVersion !== "v1") throw new ManifestError("it is not a v1 Pod");
    if (!pod.metadata?.name) throw new ManifestError("metadata.name is missing");
    if (!Array.isArray(pod.spec?.containers) || pod.spec.containers.length === 0) {
      throw new ManifestError("spec.containers is missing");
    }
    const reference = apiReference(pod.spec);
    if (reference !== undefined) throw new ManifestError(`static pods may not reference ${reference}`);
    return [asStatic(pod as Pod, path, nodeName)];
  });
}

function asStatic(pod: Pod, path: string, nodeName: string): Pod {
  const uid = createHash("md5")
    .update(JSON.stringify([nodeName, path, pod]))
    .digest("hex");
  const { status: _, ...rest } = pod;
  return {
    ...rest,
    metadata: {
      ...pod.metadata,
      name: `${pod.metadata.name}-${nodeName}`.toLowerCase(),
      namespace: pod.metadata.namespace ?? "default",
      uid,
      annotations: {
        ...pod.metadata.annotations,
        "kubernetes.io/config.hash": uid,
        "kubernetes.io/config.source": "file",
      },
    },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      schedulerName: "default-scheduler",
      securityContext: {},
      ...pod.spec,
      nodeName,
      // Nothing that befalls the node takes its own pods off it.
      tolerations: [...(pod.spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }],
      ...(pod.spec.initContainers ? { initContainers: pod.spec.initContainers.map(withDefaults) } : {}),
      containers: pod.spec.containers.map(withDefaults),
      ...(pod.spec.volumes ? { volumes: pod.spec.volumes.map(withVolumeDefaults) } : {}),
    },
  };
}

function withDefaults(container: Container): Container {
  const probe = (given: Probe | undefined): Probe => ({
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...given,
  });
  const { resources, ports, livenessProbe, readinessProbe, startupProbe } = container;
  return {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    ...container,
    ...(ports ? { ports: ports.map((port) => ({ protocol: "TCP", ...port })) } : {}),
    ...(resources?.limits
      ? { resources: { ...resources, requests: { ...resources.limits, ...resources.requests } } }
      : {}),
    ...(livenessProbe ? { livenessProbe: probe(livenessProbe) } : {}),
    ...(readinessProbe ? { readinessProbe: probe(readinessProbe) } : {}),
    ...(startupProbe ? { startupProbe: probe(startupProbe) } : {}),
  };
}

function withVolumeDefaults(volume: Volume): Volume {
  const { hostPath, ...rest } = volume;
  if (hostPath) return { ...rest, hostPath: { type: "", ...hostPath } };
  const sources = Object.keys(rest).length;
  return sources > 1 ? volume : { ...volume, emptyDir: {} };
}
