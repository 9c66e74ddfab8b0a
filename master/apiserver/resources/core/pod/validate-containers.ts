/** Containers of a pod: ordinary, init and ephemeral ones. */

import { isSidecar } from "#shared/api/sidecars.ts";
import type {
  Container,
  ContainerPort,
  ContainerResizePolicy,
  PodSpec,
  VolumeMount,
} from "#shared/api/types/core-v1.generated.ts";
import { type Field, oneOf, requiredOneOf } from "../../validation/field.ts";
import { isDns1123Label, isPortName, isPortNumber } from "../../validation/names.ts";
import { protocols } from "../../validation/ports.ts";
import { validateLocalDescendingPath } from "../volume-sources.ts";
import { validateEnv, validateEnvFrom } from "./validate-env.ts";
import { validateLifecycle, validateProbes } from "./validate-probes.ts";
import { validateContainerResources } from "./validate-resources.ts";
import { validateContainerSecurity } from "./validate-security.ts";
import { type Volumes, validatePullPolicy } from "./validate-volumes.ts";

/** What a container's fields are judged against. */
export interface ContainerSurroundings {
  readonly spec: PodSpec;
  readonly volumes: Volumes;
  readonly claims: ReadonlySet<string>;
  readonly isPod: boolean;
}

export function validateContainers(around: ContainerSurroundings, field: Field): void {
  const { spec } = around;
  if (!spec.containers?.length) {
    field.required();
    return;
  }
  const names = new Set<string>();
  for (const [index, container] of spec.containers.entries()) {
    const at = field.index(index);
    validateCommon(container, around, at);
    if (names.has(container.name)) at.at("name").duplicate(container.name);
    names.add(container.name);
    validateLifecycle(container.lifecycle, spec.terminationGracePeriodSeconds, spec.os, at.at("lifecycle"));
    validateProbes(container, spec.terminationGracePeriodSeconds, at);
    validateRestartRules(container, at);
  }
  validateHostPorts(spec.containers, field);
}

export function validateInitContainers(around: ContainerSurroundings, field: Field): void {
  const { spec } = around;
  const names = new Set((spec.containers ?? []).map(({ name }) => name));
  for (const [index, container] of (spec.initContainers ?? []).entries()) {
    const at = field.index(index);
    validateCommon(container, around, at);
    validateInitRestart(container, at);
    if (names.has(container.name)) at.at("name").duplicate(container.name);
    else if (container.name) names.add(container.name);
    validateHostPorts([container], field);
    if (isSidecar(container)) {
      validateLifecycle(container.lifecycle, spec.terminationGracePeriodSeconds, spec.os, at.at("lifecycle"));
      validateProbes(container, spec.terminationGracePeriodSeconds, at);
      continue;
    }
    for (const key of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const) {
      if (container[key]) at.at(key).forbidden("may not be set for init containers without restartPolicy=Always");
    }
  }
}

const ephemeralForbidden = [
  "ports",
  "resources",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
  "resizePolicy",
  "restartPolicy",
  "restartPolicyRules",
] as const;

/** What Go points to is there even where it is empty. */
const pointedTo = new Set(["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"]);

const isUnset = (value: unknown, key: string): boolean =>
  value === undefined ||
  (!pointedTo.has(key) && typeof value === "object" && value !== null && Object.keys(value).length === 0);

export function validateEphemeralContainers(around: ContainerSurroundings, field: Field): void {
  const { spec } = around;
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ name }) => name));
  const names = new Set(others);
  const message = "cannot be set for an Ephemeral Container";
  for (const [index, container] of (spec.ephemeralContainers ?? []).entries()) {
    const at = field.index(index);
    validateCommon(container, around, at);
    validateImageText(container, at);
    if (names.has(container.name)) at.at("name").duplicate(container.name);
    names.add(container.name);
    const target = container.targetContainerName;
    if (target && !others.has(target)) at.at("targetContainerName").notFound(target);
    for (const key of ephemeralForbidden) if (!isUnset(container[key], key)) at.at(key).forbidden(message);
    for (const [i, { subPath, subPathExpr }] of (container.volumeMounts ?? []).entries()) {
      const mount = at.at("volumeMounts").index(i);
      if (subPath) mount.at("subPath").forbidden(message);
      if (subPathExpr) mount.at("subPathExpr").forbidden(message);
    }
  }
}

/** Judged in pods alone: templates with such an image were always accepted. */
export function validateImageText({ image = "" }: Container, field: Field): void {
  if (image.trim() !== image) field.at("image").invalid(image, "must not have leading or trailing whitespace");
}

function validateCommon(container: Container, around: ContainerSurroundings, field: Field): void {
  const { name = "", image } = container;
  if (name === "") field.at("name").required();
  else field.at("name").invalidEach(name, isDns1123Label(name));
  if (!image) field.at("image").required();
  requiredOneOf(
    container.terminationMessagePolicy,
    ["File", "FallbackToLogsOnError"],
    field.at("terminationMessagePolicy"),
  );
  validatePorts(container.ports, field.at("ports"));
  validateEnv(container.env, field.at("env"));
  validateEnvFrom(container.envFrom, field.at("envFrom"));
  validateMounts(container, around.volumes, field.at("volumeMounts"));
  validateDevices(container, around.volumes, field.at("volumeDevices"));
  validatePullPolicy(container.imagePullPolicy, field.at("imagePullPolicy"));
  validateContainerResources(container.resources, around.claims, field.at("resources"));
  validateResizePolicy(container.resizePolicy, around.spec.restartPolicy, field.at("resizePolicy"));
  validateContainerSecurity(container.securityContext, field.at("securityContext"), around.spec.hostUsers !== false);
}

function validatePorts(ports: readonly ContainerPort[] | undefined, field: Field): void {
  const names = new Set<string>();
  for (const [index, { name, containerPort, hostPort, protocol }] of (ports ?? []).entries()) {
    const at = field.index(index);
    if (name) {
      const errors = isPortName(name);
      if (errors.length > 0) at.at("name").invalidEach(name, errors);
      else if (names.has(name)) at.at("name").duplicate(name);
      else names.add(name);
    }
    if (!containerPort) at.at("containerPort").required();
    else at.at("containerPort").invalidEach(containerPort, isPortNumber(containerPort));
    if (hostPort) at.at("hostPort").invalidEach(hostPort, isPortNumber(hostPort));
    requiredOneOf(protocol, protocols, at.at("protocol"));
  }
}

function validateHostPorts(containers: readonly Container[], field: Field): void {
  const taken = new Set<string>();
  for (const [index, { ports }] of containers.entries()) {
    for (const [i, { hostPort, protocol, hostIP = "" }] of (ports ?? []).entries()) {
      if (!hostPort) continue;
      const key = `${protocol}/${hostIP}/${hostPort}`;
      if (taken.has(key)) field.index(index).at("ports").index(i).at("hostPort").duplicate(key);
      taken.add(key);
    }
  }
}

function validateMounts(container: Container, volumes: Volumes, field: Field): void {
  const paths = new Set<string>();
  const devices = new Set((container.volumeDevices ?? []).map((device) => device.name));
  const devicePaths = new Set((container.volumeDevices ?? []).map(({ devicePath }) => devicePath));
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = field.index(index);
    const { name = "", mountPath = "", subPath, subPathExpr } = mount;
    if (name === "") at.at("name").required();
    if (!volumes.has(name)) at.at("name").notFound(name);
    if (mountPath === "") at.at("mountPath").required();
    if (paths.has(mountPath)) at.at("mountPath").invalid(mountPath, "must be unique");
    paths.add(mountPath);
    if (devices.has(name)) {
      at.at("name").invalid(name, "must not already exist in volumeDevices");
    }
    if (devicePaths.has(mountPath)) {
      at.at("mountPath").invalid(mountPath, "must not already exist as a path in volumeDevices");
    }
    if (subPath) validateLocalDescendingPath(subPath, field.at("subPath"));
    if (subPathExpr) {
      if (subPath) at.at("subPathExpr").invalid(subPathExpr, "subPathExpr and subPath are mutually exclusive");
      validateLocalDescendingPath(subPathExpr, field.at("subPathExpr"));
    }
    validatePropagation(mount, container, field.at("mountPropagation"));
    validateRecursiveReadOnly(mount, field.at("recursiveReadOnly"));
  }
}

function validatePropagation({ mountPropagation: mode }: VolumeMount, container: Container, field: Field): void {
  if (mode === undefined) return;
  oneOf(mode, ["Bidirectional", "HostToContainer", "None"], field);
  if (mode === "Bidirectional" && !container.securityContext?.privileged) {
    field.forbidden("Bidirectional mount propagation is available only to privileged containers");
  }
}

function validateRecursiveReadOnly(mount: VolumeMount, field: Field): void {
  const mode = mount.recursiveReadOnly;
  if (mode === undefined || mode === "Disabled") return;
  if (mode !== "Enabled" && mode !== "IfPossible") {
    field.notSupported(mode, ["Disabled", "Enabled", "IfPossible"]);
    return;
  }
  if (!mount.readOnly) field.forbidden("may only be specified when readOnly is true");
  if (mount.mountPropagation !== undefined && mount.mountPropagation !== "None") {
    field.forbidden("may only be specified when mountPropagation is None or not specified");
  }
}

function validateDevices(container: Container, volumes: Volumes, field: Field): void {
  const paths = new Set<string>();
  const names = new Set<string>();
  const mounts = new Set((container.volumeMounts ?? []).map((mount) => mount.name));
  const mountPaths = new Set((container.volumeMounts ?? []).map(({ mountPath }) => mountPath));
  for (const [index, { name = "", devicePath = "" }] of (container.volumeDevices ?? []).entries()) {
    const at = field.index(index);
    const volume = volumes.get(name);
    if (name === "") at.at("name").required();
    if (names.has(name)) at.at("name").invalid(name, "must be unique");
    if (volume === undefined) at.at("name").notFound(name);
    else if (!volume.persistentVolumeClaim && !volume.ephemeral) {
      at.at("name").invalid(
        name,
        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
      );
    }
    if (devicePath === "") at.at("devicePath").required();
    if (paths.has(devicePath)) at.at("devicePath").invalid(devicePath, "must be unique");
    if (devicePath.split("/").includes("..")) {
      at.at("devicePath").invalid(devicePath, "can not contain backsteps ('..')");
    } else paths.add(devicePath);
    if (mounts.has(name)) at.at("name").invalid(name, "must not already exist in volumeMounts");
    if (mountPaths.has(devicePath)) {
      at.at("devicePath").invalid(devicePath, "must not already exist as a path in volumeMounts");
    }
    if (name !== "") names.add(name);
  }
}

function validateResizePolicy(
  policies: readonly ContainerResizePolicy[] | undefined,
  podRestartPolicy: string | undefined,
  field: Field,
): void {
  const seen = new Set<string>();
  for (const [index, { resourceName, restartPolicy }] of (policies ?? []).entries()) {
    if (seen.has(resourceName)) field.index(index).duplicate(resourceName);
    seen.add(resourceName);
    requiredOneOf(resourceName, ["cpu", "memory"], field);
    requiredOneOf(restartPolicy, ["NotRequired", "RestartContainer"], field);
    if (podRestartPolicy === "Never" && restartPolicy !== "NotRequired") {
      field.invalid(restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
    }
  }
}

function validateInitRestart(container: Container, field: Field): void {
  const { restartPolicy, restartPolicyRules: rules = [] } = container;
  if (restartPolicy === undefined) {
    if (rules.length > 0) field.at("restartPolicy").required("must specify restartPolicy when restart rules are used");
  } else if (!isSidecar(container)) validateRestartRules(container, field);
  else if (rules.length > 0) {
    const at = field.at("restartPolicyRules");
    (rules.some(isOfAll) ? at.ruled(restartOfAll) : at).forbidden(
      "restartPolicyRules are not allowed for init containers with restart policy Always",
    );
  }
}

/** Behind a gate that upstream keeps closed. */
const restartOfAll = "restart of all containers";
const isOfAll = ({ action }: { readonly action?: string }): boolean => action === "RestartAllContainers";

/** A container's own restart policy and its rules (KEP-5307). */
function validateRestartRules({ restartPolicy, restartPolicyRules: rules = [] }: Container, field: Field): void {
  const at = field.at("restartPolicy");
  if (restartPolicy === undefined) {
    if (rules.length === 0) return;
    at.required("must specify restartPolicy when restart rules are used");
  } else oneOf(restartPolicy, ["Always", "Never", "OnFailure"], at);
  if (rules.length > 20) field.at("restartPolicyRules").tooLong(20);
  for (const [index, { action, exitCodes }] of rules.entries()) {
    const rule = field.at("restartPolicyRules").index(index);
    const place = rule.at("action");
    oneOf(action, ["Restart"], isOfAll({ action }) ? place.ruled(restartOfAll) : place);
    if (exitCodes === undefined) {
      rule.at("exitCodes").required("must be specified");
      continue;
    }
    oneOf(exitCodes.operator, ["In", "NotIn"], rule.at("exitCodes", "operator"));
    if ((exitCodes.values ?? []).length > 255) rule.at("exitCodes", "values").tooLong(255);
  }
}
