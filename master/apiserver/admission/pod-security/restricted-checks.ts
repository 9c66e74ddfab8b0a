import { badContainers, type CheckPod } from "./check.ts";
import { joinQuoted, named, pluralize, sorted } from "./wording.ts";

/** Checks of the level restricted: what hardened pods do besides. */

export const capabilitiesRestricted: CheckPod = (pod) => {
  const keeping = badContainers(pod, ({ securityContext }) => !securityContext?.capabilities?.drop?.includes("ALL"));
  const added = new Set<string>();
  const adding = badContainers(pod, ({ securityContext }) => {
    const wrong = (securityContext?.capabilities?.add ?? []).filter((one) => one !== "NET_BIND_SERVICE");
    for (const one of wrong) added.add(one);
    return wrong.length > 0;
  });
  const details = [
    ...(keeping.length > 0
      ? [`${named("container", keeping)} must set securityContext.capabilities.drop=["ALL"]`]
      : []),
    ...(adding.length > 0
      ? [
          `${named("container", adding)} must not include ${joinQuoted(sorted(added))} in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return details.length > 0 ? { reason: "unrestricted capabilities", detail: details.join("; ") } : undefined;
};

export const allowPrivilegeEscalation: CheckPod = (pod) => {
  const bad = badContainers(pod, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
  return bad.length > 0
    ? {
        reason: "allowPrivilegeEscalation != false",
        detail: `${named("container", bad)} must set securityContext.allowPrivilegeEscalation=false`,
      }
    : undefined;
};

const volumesAllowed = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

export const restrictedVolumes: CheckPod = ({ spec }) => {
  const types = new Set<string>();
  const bad = (spec.volumes ?? []).filter((volume) => {
    const sources = Object.entries(volume).flatMap(([field, value]) =>
      field === "name" || value === undefined ? [] : [field],
    );
    if (sources.some((source) => volumesAllowed.includes(source))) return false;
    types.add(sources[0] ?? "unknown");
    return true;
  });
  if (bad.length === 0) return undefined;
  const verb = bad.length === 1 ? "uses" : "use";
  return {
    reason: "restricted volume types",
    detail:
      `${named(
        "volume",
        bad.map(({ name }) => name),
      )} ${verb} ` + `${pluralize("restricted volume type", types.size)} ${joinQuoted(sorted(types))}`,
  };
};

export const runAsNonRoot: CheckPod = (pod) => {
  const ofPod = pod.spec.securityContext?.runAsNonRoot;
  const setters = ofPod === false ? ["pod"] : [];
  const bad = badContainers(pod, ({ securityContext }) => securityContext?.runAsNonRoot === false);
  if (bad.length > 0) setters.push(named("container", bad));
  if (setters.length > 0)
    return {
      reason: "runAsNonRoot != true",
      detail: `${setters.join(" and ")} must not set securityContext.runAsNonRoot=false`,
    };
  const silent =
    ofPod === true ? [] : badContainers(pod, ({ securityContext }) => securityContext?.runAsNonRoot === undefined);
  return silent.length > 0
    ? {
        reason: "runAsNonRoot != true",
        detail: `pod or ${named("container", silent)} must set securityContext.runAsNonRoot=true`,
      }
    : undefined;
};

export const runAsUser: CheckPod = (pod) => {
  const setters = pod.spec.securityContext?.runAsUser === 0 ? ["pod"] : [];
  const bad = badContainers(pod, ({ securityContext }) => securityContext?.runAsUser === 0);
  if (bad.length > 0) setters.push(named("container", bad));
  return setters.length > 0
    ? { reason: "runAsUser=0", detail: `${setters.join(" and ")} must not set runAsUser=0` }
    : undefined;
};
