import type { FieldError } from "#shared/api/errors.ts";
import type {
  VolumeAttachment,
  VolumeAttachmentSource,
  VolumeAttachmentStatus,
  VolumeError,
} from "#shared/api/types/storage-v1.generated.ts";
import { validateInlineVolumeSpec } from "../core/persistent-volume-rules.ts";
import { validateCSIDriverName } from "../core/volume-sources.ts";
import { collect, type Field, immutableMessage, semanticEqual } from "../validation/field.ts";
import { inclusiveRange, isDns1123Subdomain } from "../validation/names.ts";

const maxMetadata_bytes = 256 * 1024;
const maxMessage_bytes = 1024;
const maxInt32 = 2 ** 31 - 1;

export const validateNewAttachment = (attachment: VolumeAttachment): FieldError[] => [
  ...validateAttachment(attachment),
  ...collect((root) => {
    const { attacher, source } = attachment.spec;
    validateCSIDriverName(attacher, root.at("spec.attacher"));
    const name = source.persistentVolumeName;
    if (name !== undefined) root.at("spec.source.persistentVolumeName").invalidEach(name, isDns1123Subdomain(name));
  }),
];

const validateAttachment = ({ spec, status }: VolumeAttachment): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    if (!spec.attacher) field.at("attacher").required();
    validateSource(spec.source, field.at("source"));
    field.at("nodeName").invalidEach(spec.nodeName, isDns1123Subdomain(spec.nodeName));
    if (status) validateStatus(status, root.at("status"));
  });

export const validateAttachmentUpdate = (
  attachment: VolumeAttachment,
  old: Readonly<VolumeAttachment>,
): FieldError[] => [
  ...validateAttachment(attachment),
  ...collect((root) => {
    if (!semanticEqual(attachment.spec, old.spec)) root.at("spec").invalid(attachment.spec, immutableMessage);
  }),
];

function validateSource({ inlineVolumeSpec, persistentVolumeName: name }: VolumeAttachmentSource, field: Field): void {
  const message = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
  if (!inlineVolumeSpec && name === undefined) field.required(message);
  else if (inlineVolumeSpec && name !== undefined) field.forbidden(message);
  else if (inlineVolumeSpec) validateInlineVolumeSpec(inlineVolumeSpec, field.at("inlineVolumeSpec"));
  else if (!name) field.at("persistentVolumeName").required("must specify non empty persistentVolumeName");
}

function validateStatus(
  { attachmentMetadata = {}, attachError, detachError }: VolumeAttachmentStatus,
  field: Field,
): void {
  const size_bytes = Object.entries(attachmentMetadata).reduce(
    (sum, pair) => sum + Buffer.byteLength(pair.join("")),
    0,
  );
  if (size_bytes > maxMetadata_bytes) field.at("attachmentMetadata").tooLong(maxMetadata_bytes);
  if (attachError) validateError(attachError, field.at("attachError"));
  if (detachError) validateError(detachError, field.at("detachError"));
}

function validateError({ message = "", errorCode }: VolumeError, field: Field): void {
  // Upstream names the limit of the metadata here.
  if (Buffer.byteLength(message) > maxMessage_bytes) field.at("message").tooLong(maxMetadata_bytes);
  if (errorCode !== undefined && errorCode < 0) field.at("errorCode").invalid(errorCode, inclusiveRange(0, maxInt32));
}
