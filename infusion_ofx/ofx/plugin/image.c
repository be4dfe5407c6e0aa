/* Images as a host hands them over: rows of any stride and sign, bounds anywhere. */
#include <string.h>

#include "infusion.h"

static int is_text(OfxPropertySetHandle props, const char *name, const char *wanted)
{
    char *found = NULL;
    return host.property->propGetString(props, name, 0, &found) == kOfxStatOK && found &&
           strcmp(found, wanted) == 0;
}

static int channels_of(OfxPropertySetHandle props)
{
    if (is_text(props, kOfxImageEffectPropComponents, kOfxImageComponentRGBA))
        return 4;
    return is_text(props, kOfxImageEffectPropComponents, kOfxImageComponentAlpha) ? 1 : 0;
}

/* Whether every row of the bounds has room in the stride, so that no pixel lies outside the image.
 */
static int is_sound(const Image *image)
{
    int64_t width = (int64_t)image->bounds.x2 - image->bounds.x1;
    int64_t needed = width * image->channels * (int64_t)sizeof(float);
    int64_t stride = image->row_bytes < 0 ? -(int64_t)image->row_bytes : image->row_bytes;
    int one_row = (int64_t)image->bounds.y2 - image->bounds.y1 == 1;
    return image->data && image->channels && width > 0 && image->bounds.y2 > image->bounds.y1 &&
           (stride >= needed || one_row);
}

static void read_geometry(Image *image)
{
    const OfxPropertySuiteV1 *get = host.property;
    get->propGetIntN(image->handle, kOfxImagePropBounds, 4, &image->bounds.x1);
    image->region = image->bounds; /* what an older host does not tell */
    get->propGetIntN(image->handle, kOfxImagePropRegionOfDefinition, 4, &image->region.x1);
    get->propGetInt(image->handle, kOfxImagePropRowBytes, 0, &image->row_bytes);
    image->scale[0] = image->scale[1] = 1;
    get->propGetDoubleN(image->handle, kOfxImageEffectPropRenderScale, 2, image->scale);
}

int image_fetch(OfxImageClipHandle clip, double time, Image *image)
{
    void *data = NULL;
    memset(image, 0, sizeof *image);
    if (!clip || host.effect->clipGetImage(clip, time, NULL, &image->handle) != kOfxStatOK)
        image->handle = NULL;
    if (!image->handle)
        return -1;
    read_geometry(image);
    host.property->propGetPointer(image->handle, kOfxImagePropData, 0, &data);
    image->data = data;
    image->unpremultiplied =
        is_text(image->handle, kOfxImageEffectPropPreMultiplication, kOfxImageUnPreMultiplied);
    if (is_text(image->handle, kOfxImageEffectPropPixelDepth, kOfxBitDepthFloat))
        image->channels = channels_of(image->handle);
    if (is_sound(image))
        return 0;
    image_release(image);
    return -1;
}

void image_release(Image *image)
{
    if (image->handle)
        host.effect->clipReleaseImage(image->handle);
    image->handle = NULL;
}

char *image_pixel(const Image *image, int x, int y)
{
    ptrdiff_t across = ((ptrdiff_t)x - image->bounds.x1) * image->channels;
    ptrdiff_t up = ((ptrdiff_t)y - image->bounds.y1) * image->row_bytes;
    return image->data + up + across * (ptrdiff_t)sizeof(float);
}

OfxRectI intersect(OfxRectI a, OfxRectI b)
{
    OfxRectI both;
    both.x1 = a.x1 > b.x1 ? a.x1 : b.x1;
    both.y1 = a.y1 > b.y1 ? a.y1 : b.y1;
    both.x2 = a.x2 < b.x2 ? a.x2 : b.x2;
    both.y2 = a.y2 < b.y2 ? a.y2 : b.y2;
    if (both.x2 < both.x1)
        both.x2 = both.x1;
    if (both.y2 < both.y1)
        both.y2 = both.y1;
    return both;
}
