/** The camera, and what belongs to the document as a whole. */

import { zoomFactor, zoomPoints } from "../camera.js";
import { copied } from "../document.js";
import { NOTHING } from "./selection.js";
import { Refusal } from "./targets.js";

/** @typedef {import("../document.js").CameraMove} CameraMove */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("./targets.js").Change} Change */
/** @typedef {import("./targets.js").Context} Context */

/** @typedef {Partial<Pick<MotionDocument, "frames" | "fps" | "image" | "extra">>} DocumentChanges */

/**
 * Pan, zoom, pace; a value of undefined takes the member away, and a camera without pan and zoom goes.
 *
 * @typedef {{type: "change_camera", changes: Partial<CameraMove>}} ChangeCamera
 */
/** @typedef {{type: "remove_camera"}} RemoveCamera */
/** @typedef {{type: "zoom_camera", factor: number, center?: Vector}} ZoomCamera about the picture's middle at first */
/** @typedef {{type: "drag_zoom_point", point: number, to: Vector}} DragZoomPoint one of the four, to where it ends */
/** @typedef {{type: "change_document", changes: DocumentChanges}} ChangeDocument */
/** @typedef {{type: "import_document", data: unknown}} ImportDocument a JSON text or object, in place of everything */
/**
 * @typedef {ChangeCamera | RemoveCamera | ZoomCamera | DragZoomPoint | ChangeDocument | ImportDocument} DocumentAction
 */

const DOCUMENT_CHANGES = ["frames", "fps", "image", "extra"];

export const documentEdits = {
  /** @type {(document: MotionDocument, action: ChangeCamera) => Change} */
  change_camera: (document, { changes }) => ({
    document: withCamera(document, { ...document.camera, ...copied(changes) }),
  }),

  /** @type {(document: MotionDocument, action: RemoveCamera) => Change} */
  remove_camera: (document) => {
    if (document.camera === undefined) {
      throw new Refusal("noCamera");
    }
    return { document: withCamera(document, {}) };
  },

  /** @type {(document: MotionDocument, action: ZoomCamera) => Change} */
  zoom_camera: (document, { factor, center }) => {
    const { size, camera } = document;
    const before = camera?.zoom;
    const about = center ?? before?.center ?? [(size.width - 1) / 2, (size.height - 1) / 2];
    const isMoved = before === undefined || before.center[0] !== about[0] || before.center[1] !== about[1];
    const points = isMoved ? zoomPoints(about, size) : before.points;
    return { document: withCamera(document, { ...camera, zoom: { factor, center: copied(about), points } }) };
  },

  /** @type {(document: MotionDocument, action: DragZoomPoint) => Change} */
  drag_zoom_point: (document, { point, to }) => {
    const zoom = document.camera?.zoom;
    const start = zoom?.points[point];
    if (zoom === undefined || start === undefined) {
      throw new Refusal("noZoomPoint", { point });
    }
    const factor = zoomFactor(zoom.center, start, to);
    if (factor === null) {
      throw new Refusal("zoomCentre");
    }
    return { document: withCamera(document, { ...document.camera, zoom: { ...zoom, factor } }) };
  },

  /** @type {(document: MotionDocument, action: ChangeDocument) => Change} */
  change_document: (document, { changes }) => {
    const other = Object.keys(changes).find((key) => !DOCUMENT_CHANGES.includes(key));
    if (other !== undefined) {
      throw new Refusal("fixedMember", { member: other, others: DOCUMENT_CHANGES.join(", ") });
    }
    return { document: { ...document, ...copied(changes) } };
  },

  /** @type {(document: MotionDocument, action: ImportDocument, context: Context) => Change} */
  import_document: (_document, { data }, { format }) => ({ document: format.parse(data), selection: NOTHING }),
};

/** @type {(document: MotionDocument, camera: Partial<CameraMove>) => MotionDocument} */
function withCamera(document, camera) {
  const { camera: _before, ...rest } = document;
  if (camera.pan === undefined && camera.zoom === undefined) {
    return rest;
  }
  /** @type {any} */ // what is left out gets its default when the document is completed
  const move = camera;
  return { ...rest, camera: move };
}
