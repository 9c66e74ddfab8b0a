import { pods } from "#shared/api/resources.ts";
import type { Container, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf, refusal } from "../attributes.ts";

/** Every pod asks its registry anew, so that nobody runs a private image of others that lies on the board. */
export class AlwaysPullImages implements AdmissionPlugin {
  readonly name = "AlwaysPullImages";
  readonly resources = [pods];

  mutate(attributes: AdmissionAttributes): undefined {
    const pod = podWithNewImages(attributes);
    if (!pod?.spec) return;
    for (const { container } of containersIn(pod.spec)) container.imagePullPolicy = "Always";
    for (const { image } of pod.spec.volumes ?? []) if (image) image.pullPolicy = "Always";
  }

  validate(attributes: AdmissionAttributes): undefined {
    const pod = podWithNewImages(attributes);
    if (!pod?.spec) return;
    const wrong = [
      ...containersIn(pod.spec).map(({ container, path }) => [`${path}.imagePullPolicy`, container.imagePullPolicy]),
      ...(pod.spec.volumes ?? []).flatMap(({ image }, index) =>
        image ? [[`spec.volumes[${index}].image.pullPolicy`, image.pullPolicy]] : [],
      ),
    ].find(([, policy]) => policy !== "Always");
    if (wrong)
      throw refusal(
        attributes,
        `${wrong[0]}: Unsupported value: ${JSON.stringify(wrong[1] ?? "")}: supported values: "Always"`,
      );
  }
}

/** Undefined for a write that brings no image which the pod does not have already. */
function podWithNewImages(attributes: AdmissionAttributes): Pod | undefined {
  const pod = draftOf(attributes, pods);
  if (!pod?.spec || attributes.operation !== "UPDATE") return pod;
  const old = (attributes.oldObject as Pod | undefined)?.spec;
  const before = new Set(old ? containersIn(old).map(({ container }) => container.image) : []);
  return containersIn(pod.spec).some(({ container }) => !before.has(container.image)) ? pod : undefined;
}

function containersIn(spec: PodSpec): { readonly container: Container; readonly path: string }[] {
  const lists = [
    ["spec.initContainers", spec.initContainers],
    ["spec.containers", spec.containers],
    ["spec.ephemeralContainers", spec.ephemeralContainers as Container[] | undefined],
  ] as const;
  return lists.flatMap(([path, list]) =>
    (list ?? []).map((container, index) => ({ container, path: `${path}[${index}]` })),
  );
}
