import { accessGroups } from "./access-requests.ts";
import { applyOrderGroups } from "./apply-order-requests.ts";
import { applyGroups } from "./apply-requests.ts";
import { bootstrapGroups } from "./bootstrap-requests.ts";
import { createAccessGroups } from "./create-access-requests.ts";
import { directiveGroups } from "./directive-requests.ts";
import { errorGroups } from "./error-requests.ts";
import { fieldGroups } from "./field-requests.ts";
import { formGroups } from "./form-requests.ts";
import { furtherGroups } from "./further-requests.ts";
import { headerGroups } from "./header-requests.ts";
import { nullPlaceGroups } from "./null-place-requests.ts";
import { nullGroups } from "./null-requests.ts";
import { createGroups, deleteGroup, updateGroups } from "./object-requests.ts";
import { oddGroups } from "./odd-requests.ts";
import { optionGroups } from "./option-requests.ts";
import { ownershipGroups } from "./ownership-requests.ts";
import { ownershipGroup, patchGroups, subresourceGroup } from "./patch-requests.ts";
import { podTableGroups } from "./pod-table-requests.ts";
import { projectionGroups } from "./projection-requests.ts";
import { readGroups } from "./read-requests.ts";
import { removalGroups } from "./removal-requests.ts";
import type { WireGroup } from "./request.ts";
import { reviewGroups } from "./review-requests.ts";
import { selectorGroups } from "./selector-requests.ts";
import { streamGroups } from "./stream-requests.ts";
import { subresourceBodyGroups } from "./subresource-requests.ts";
import { tableGroups } from "./table-requests.ts";
import { warningGroups } from "./warning-requests.ts";
import { world } from "./world.ts";

/** In the order in which they are sent, to a server without any object of ours. */
export const groups: readonly WireGroup[] = [
  world,
  ...bootstrapGroups,
  ...createGroups,
  ...updateGroups,
  ...patchGroups,
  ...directiveGroups,
  ...fieldGroups,
  ...selectorGroups,
  ...tableGroups,
  ...nullPlaceGroups,
  subresourceGroup,
  ...readGroups,
  ...oddGroups,
  deleteGroup,
  ownershipGroup,
  ...furtherGroups,
  ...ownershipGroups,
  ...accessGroups,
  ...optionGroups,
  ...formGroups,
  ...streamGroups,
  ...headerGroups,
  ...reviewGroups,
  ...applyGroups,
  ...applyOrderGroups,
  ...removalGroups,
  ...nullGroups,
  ...podTableGroups,
  ...warningGroups,
  ...subresourceBodyGroups,
  ...projectionGroups,
  ...errorGroups,
  ...createAccessGroups,
];
