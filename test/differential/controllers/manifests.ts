import type { Fields } from "./world.ts";

/* Short forms of what scenarios make. */

export const selectorOf = (app: string): Fields => ({ matchLabels: { app } });

export const template = (app: string, image = "example/app:1", more: Fields = {}, metadata: Fields = {}): Fields => ({
  metadata: { labels: { app }, ...metadata },
  spec: { containers: [{ name: "main", image }], ...more },
});

/** The spec of whatever has a selector, a template and replicas. */
export const workload = (app: string, replicas: number, more: Fields = {}): { spec: Fields } => ({
  spec: { replicas, selector: selectorOf(app), template: template(app), ...more },
});

export const withImage = (image: string): Fields => ({ spec: { template: imageOf(image) } });
const imageOf = (image: string): Fields => ({ spec: { containers: [{ name: "main", image }] } });

export const bareSpec = (image = "example/app:1", more: Fields = {}): Fields => ({
  spec: { containers: [{ name: "main", image }], ...more },
});

export const rolling = (maxSurge: number | string, maxUnavailable: number | string): Fields => ({
  strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } },
});

export const ownedBy = (
  {
    apiVersion,
    kind,
    metadata,
  }: { apiVersion: string; kind: string; metadata: { name?: string | undefined; uid?: string | undefined } },
  more: Fields = {},
): Fields => ({ ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, ...more }] });
