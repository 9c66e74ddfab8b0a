import { image, serveOwnName } from "./board-cluster.ts";

/** As webApp, but without probes: a busy machine is no reason to restart these, and their Service has no node port. */
export function steadyWeb(name: string, replicas: number, container: object = {}): object[] {
  const labels = { app: name };
  const containers = [{ name: "web", image, command: serveOwnName, ...container }];
  const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers } };
  const selector = { matchLabels: labels };
  return [
    { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec: { replicas, selector, template } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ];
}
