/* Frames that the host gives: fetched by Launch, or captured while it renders.
 *
 * Each is a file `<number>.frame` of plain floats, premultiplied as in EXR: 64 bytes of header,
 * then RGBA or alpha alone, lowest row first. infusion_ofx/ofx/plain.py reads them.
 */
#include <stdlib.h>
#include <string.h>

#include "infusion.h"
#include "system.h"

enum { HEADER_SIZE = 64, FACTS = 6 };

static const char magic[8] = {'I', 'N', 'F', 'U', 'F', 'R', 'A', 'M'};

static int write_header(FILE *file, const Image *image, int channels)
{
    unsigned char header[HEADER_SIZE] = {0};
    int32_t facts[FACTS];
    facts[0] = 1;
    memcpy(facts + 1, &image->region, sizeof image->region);
    facts[5] = channels;
    memcpy(header, magic, sizeof magic);
    memcpy(header + sizeof magic, facts, sizeof facts);
    return fwrite(header, 1, sizeof header, file) == sizeof header ? 0 : -1;
}

/* One row as it is kept: of a matte the alpha, of a picture its colours times alpha. */
static void convert_row(const Image *image, int y, int channels, float *row)
{
    int x, c, width = image->region.x2 - image->region.x1;
    size_t bytes = (size_t)image->channels * sizeof(float);
    for (x = 0; x < width; x++, row += channels) {
        float pixel[4];
        memcpy(pixel, image_pixel(image, image->region.x1 + x, y), bytes);
        if (channels == 1) {
            row[0] = pixel[image->channels - 1];
            continue;
        }
        for (c = 0; c < 4; c++)
            row[c] = c < 3 && image->unpremultiplied ? pixel[c] * pixel[3] : pixel[c];
    }
}

static int write_rows(FILE *file, const Image *image, int channels)
{
    size_t floats = (size_t)(image->region.x2 - image->region.x1) * (size_t)channels;
    float *row = malloc(floats * sizeof *row);
    int y, written = row != NULL;
    for (y = image->region.y1; written && y < image->region.y2; y++) {
        convert_row(image, y, channels, row);
        written = fwrite(row, sizeof *row, floats, file) == floats;
    }
    free(row);
    return written ? 0 : -1;
}

/* Writes a frame so that it appears whole or not at all. */
static int write_frame(const char *path, const Image *image, int channels)
{
    char temporary[PATH_SIZE + 128];
    FILE *file;
    int failed;
    if (temporary_name(path, temporary, sizeof temporary) != 0)
        return -1;
    file = system_open(temporary, "wb");
    if (!file)
        return -1;
    failed = write_header(file, image, channels) || write_rows(file, image, channels);
    failed = fclose(file) != 0 || failed;
    failed = failed || system_replace(temporary, path) != 0;
    if (failed)
        system_remove(temporary);
    return failed ? -1 : 0;
}

/* Keeps an image in a folder of the job's, "plate" or "matte". */
static int keep(const Instance *instance, const char *name, int frame, const Image *image)
{
    char folder[PATH_SIZE], path[PATH_SIZE + 32];
    int is_plate = strcmp(name, "plate") == 0;
    if (is_plate && image->channels != 4)
        return -1;
    if (job_path(instance, "", folder, sizeof folder) != 0 || system_make_folder(folder) != 0 ||
        job_path(instance, name, folder, sizeof folder) != 0 || system_make_folder(folder) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/%d.frame", folder, frame);
    return write_frame(path, image, is_plate ? 4 : 1);
}

/* Proxies are no plates, nor are parts of a picture. */
static int is_full_size(const Image *image)
{
    OfxRectI all = image->region, held = intersect(all, image->bounds);
    return image->scale[0] == 1 && image->scale[1] == 1 && all.x1 < all.x2 && all.y1 < all.y2 &&
           memcmp(&all, &held, sizeof all) == 0;
}

void capture(const Instance *instance, const Image *source, double time)
{
    Image matte;
    int frame = frame_at(instance, time);
    if (!is_full_size(source))
        return;
    keep(instance, "plate", frame, source);
    if (clip_is_connected(instance->matte) && image_fetch(instance->matte, time, &matte) == 0) {
        if (is_full_size(&matte))
            keep(instance, "matte", frame, &matte);
        image_release(&matte);
    }
}

/* Fetches and keeps one frame of a clip; why not, where it cannot. */
static const char *pull(const Instance *instance, OfxImageClipHandle clip, const char *name,
                        double time)
{
    Image image;
    const char *fault = NULL;
    if (image_fetch(clip, time, &image) != 0)
        return "the host gave no picture of floats";
    if (!is_full_size(&image))
        fault = "the host gave a proxy or a part: switch proxies off";
    else if (keep(instance, name, frame_at(instance, time), &image) != 0)
        fault = "it cannot be written into the job folder";
    image_release(&image);
    return fault;
}

static const char *pull_both(const Instance *instance, double time)
{
    const char *fault = pull(instance, instance->source, "plate", time);
    if (!fault && clip_is_connected(instance->matte))
        fault = pull(instance, instance->matte, "matte", time);
    return fault;
}

/* The whole frames that the source has. */
static int frame_range(const Instance *instance, int *first, int *last)
{
    OfxPropertySetHandle props;
    double range[2] = {0, 0};
    if (host.effect->clipGetPropertySet(instance->source, &props) != kOfxStatOK ||
        host.property->propGetDoubleN(props, kOfxImageEffectPropFrameRange, 2, range) !=
            kOfxStatOK ||
        !(range[0] >= -1e6 && range[1] <= 1e6 && range[0] <= range[1]))
        return -1;
    *first = (int)range[0] + (range[0] > (int)range[0]);
    *last = (int)range[1] - (range[1] < (int)range[1]);
    return *first <= *last ? 0 : -1;
}

/* Tells the host how far it is; whether the artist wants to go on. */
static int go_on(const Instance *instance, double done)
{
    return !host.progress ||
           host.progress->progressUpdate(instance->effect, done) != kOfxStatReplyNo;
}

static int pull_range(const Instance *instance, int first, int last)
{
    int frame;
    for (frame = first; frame <= last; frame++) {
        const char *fault = pull_both(instance, frame);
        char line[LINE_SIZE];
        if (fault) {
            snprintf(line, sizeof line, "frame %d: %s", frame, fault);
            tell_error(instance, line);
            return -1;
        }
        if (!go_on(instance, (frame - first + 1.0) / (last - first + 1.0))) {
            tell(instance, "fetching the frames was stopped; nothing was launched");
            return -1;
        }
    }
    return 0;
}

int pull_frames(const Instance *instance, int *first, int *last)
{
    int failed;
    if (!host.temporal) {
        tell_error(instance, "this host gives one frame at a time: use files, or Capture");
        return -1;
    }
    if (frame_range(instance, first, last) != 0) {
        tell_error(instance, "the host does not say which frames Source has: use files");
        return -1;
    }
    if (host.progress)
        host.progress->progressStart(instance->effect, "Infusion: fetching the frames");
    failed = pull_range(instance, *first, *last);
    if (host.progress)
        host.progress->progressEnd(instance->effect);
    *first = frame_at(instance, *first);
    *last = frame_at(instance, *last);
    return failed;
}
