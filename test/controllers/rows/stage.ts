import { isNotFound } from "#shared/api/errors.ts";
import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { deployments, pods } from "#shared/api/resources.ts";
import type { Pod, PodSpec, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { eventually } from "../../../master/controllers/testing/eventually.ts";

/** Where a controller shows its work: a cluster with two boards, and a namespace of its own. */
export class Stage {
  constructor(
    readonly admin: Client,
    readonly namespace: string,
    /** Sets the controllers' date ahead. */
    readonly leap: (ms: number) => void,
  ) {}

  key = (name: string) => ({ namespace: this.namespace, name });

  async exists(ref: ResourceRef<unknown>, key: ObjectKey): Promise<boolean> {
    try {
      await this.admin.get(ref, key);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  gone(ref: ResourceRef<unknown>, key: ObjectKey): Promise<void> {
    return eventually(async () => !(await this.exists(ref, key)), `${key.name} gone`);
  }

  /** Waits until the object is there and is as asked; gives it. */
  async until<T extends KubeObject>(ref: ResourceRef<T>, key: ObjectKey, holds: (object: T) => unknown): Promise<T> {
    let found: T | undefined;
    await eventually(async () => {
      if (!(await this.exists(ref, key))) return false;
      found = await this.admin.get(ref, key);
      return Boolean(holds(found));
    }, `${ref.plural} ${key.name}`);
    return found as T;
  }

  status<T extends KubeObject>(ref: ResourceRef<T>, key: ObjectKey, status: object): Promise<T> {
    return this.admin.patch(ref, key, { type: "merge", body: { status } }, { subresource: "status" });
  }

  pod(name: string, spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}): Promise<Pod> {
    return this.admin.create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...this.key(name), labels },
      spec: { containers: [{ name: "main", image: "example/app:1" }], ...spec },
    });
  }

  async podsOf(app: string): Promise<readonly Pod[]> {
    return (await this.admin.list(pods, { namespace: this.namespace, labelSelector: `app=${app}` })).items;
  }

  deployment(name: string, replicas: number) {
    return this.admin.create(deployments, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: this.key(name),
      spec: { replicas, selector: selector(name), template: template(name) },
    });
  }
}

export const selector = (app: string) => ({ matchLabels: { app } });
export const template = (app: string, more: Partial<PodSpec> = {}): PodTemplateSpec => ({
  metadata: { labels: { app, ...(more.restartPolicy ? { ends: "yes" } : {}) } },
  spec: { containers: [{ name: "main", image: "example/app:1" }], ...more },
});

/** One row for each controller, by its name. */
export type Rows = Readonly<Record<string, (stage: Stage) => Promise<void>>>;
