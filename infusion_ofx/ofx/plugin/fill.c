/* Finished fills: the part of each finished frame that holds its hole, as plain floats.
 *
 * infusion_ofx/ofx/plain.py writes them and describes the file. What is laid over the source is
 * taken from there; every other pixel is the source's own.
 */
#include <stdlib.h>
#include <string.h>

#include "infusion.h"
#include "system.h"

enum { HEADER_SIZE = 64, FACTS = 7, LARGEST_SIDE = 1 << 16 };

static const char magic[8] = {'I', 'N', 'F', 'U', 'F', 'I', 'L', 'L'};

static FILE *open_fill(const Instance *instance, int frame)
{
    char folder[PATH_SIZE], shown[PATH_SIZE], path[2 * PATH_SIZE], name[64];
    int take = param_integer(instance->own[PARAM_SHOWN_TAKE]);
    if (take > 1)
        snprintf(name, sizeof name, "take_%02d/%d.fill", take, frame);
    else
        snprintf(name, sizeof name, "%d.fill", frame);
    if (job_path(instance, "shown", path, sizeof path) != 0 ||
        read_line(path, shown, sizeof shown) != 0 ||
        job_path(instance, shown, folder, sizeof folder) != 0 ||
        join(path, sizeof path, folder, "/", name, NULL) != 0)
        return NULL;
    return system_open(path, "rb");
}

/* The lengths of a box that a file may have; the sides are looked at before they are multiplied. */
static int is_box(OfxRectI box)
{
    int64_t width = (int64_t)box.x2 - box.x1, height = (int64_t)box.y2 - box.y1;
    return width >= 0 && height >= 0 && width <= LARGEST_SIDE && height <= LARGEST_SIDE;
}

static size_t pixels_of(const Fill *fill)
{
    return (size_t)(fill->box.x2 - fill->box.x1) * (size_t)(fill->box.y2 - fill->box.y1);
}

static int read_header(FILE *file, Fill *fill)
{
    unsigned char header[HEADER_SIZE];
    int32_t facts[FACTS];
    if (fread(header, 1, sizeof header, file) != sizeof header ||
        memcmp(header, magic, sizeof magic) != 0)
        return -1;
    memcpy(facts, header + sizeof magic, sizeof facts); /* little endian, as are all hosts */
    fill->width = facts[1];
    fill->height = facts[2];
    memcpy(&fill->box, facts + 3, sizeof fill->box);
    return facts[0] == 1 && is_box(fill->box) ? 0 : -1;
}

int fill_exists(const Instance *instance, int frame)
{
    Fill fill;
    FILE *file = open_fill(instance, frame);
    int there;
    if (!file)
        return 0;
    there = read_header(file, &fill) == 0 && pixels_of(&fill) > 0;
    fclose(file);
    return there;
}

/* Whether a file is as long as its header says: before memory is asked for. */
static int is_whole(FILE *file, size_t bytes)
{
    long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    return length >= 0 && (size_t)length == HEADER_SIZE + bytes &&
           fseek(file, HEADER_SIZE, SEEK_SET) == 0;
}

static int read_pixels(FILE *file, Fill *fill)
{
    size_t pixels = pixels_of(fill), colours = pixels * 4 * sizeof(float);
    if (!is_whole(file, colours + pixels))
        return -1;
    fill->rgba = malloc(colours + pixels);
    if (!fill->rgba || fread(fill->rgba, 1, colours + pixels, file) != colours + pixels)
        return -1;
    fill->inside = (unsigned char *)fill->rgba + colours;
    return 0;
}

int fill_read(const Instance *instance, int frame, Fill *fill)
{
    FILE *file = open_fill(instance, frame);
    int failed;
    memset(fill, 0, sizeof *fill);
    if (!file)
        return -1;
    failed = read_header(file, fill) != 0 || pixels_of(fill) == 0 || read_pixels(file, fill) != 0;
    fclose(file);
    return failed ? -1 : 0;
}

void fill_free(Fill *fill)
{
    free(fill->rgba);
    memset(fill, 0, sizeof *fill);
}

static int is_near(double a, double b)
{
    return a - b <= 1 && b - a <= 1; /* a proxy's size is rounded one way or the other */
}

int fill_fits(const Fill *fill, OfxRectI region, const double scale[2])
{
    /* A picture that begins elsewhere is cropped or overscanned: it lies at its own place. */
    if (region.x1 != 0 || region.y1 != 0)
        return 1;
    return is_near(fill->width * scale[0], region.x2) &&
           is_near(fill->height * scale[1], region.y2);
}

/* The full-size pixels [from, to) that pixel i of a proxy stands for, within [low, high). */
static void footprint(int i, double scale, int low, int high, int *from, int *to)
{
    double start = i / scale + 1e-6, end = (i + 1) / scale + 1e-6;
    int first = start <= low ? low : start >= high ? high : (int)(start - low) + low;
    int last = end <= low ? low : end >= high ? high : (int)(end - low) + low;
    *from = first;
    *to = last == first && last < high && scale > 1 ? last + 1 : last;
}

/* Mean of the finished frame over a rectangle of the box; returns the channels that are filled
 * anywhere in it. Of one pixel it is that pixel, bit for bit. */
static unsigned mean(const Fill *fill, OfxRectI part, float rgba[4])
{
    double sum[4] = {0, 0, 0, 0};
    size_t width = (size_t)(fill->box.x2 - fill->box.x1), at = 0;
    double count = (double)(part.x2 - part.x1) * (part.y2 - part.y1);
    unsigned filled = 0;
    int x, y, c;
    for (y = part.y1; y < part.y2; y++)
        for (x = part.x1; x < part.x2; x++) {
            at = (size_t)(y - fill->box.y1) * width + (size_t)(x - fill->box.x1);
            filled |= fill->inside[at];
            for (c = 0; c < 4; c++)
                sum[c] += fill->rgba[4 * at + (size_t)c];
        }
    if (count == 1)
        memcpy(rgba, fill->rgba + 4 * at, 4 * sizeof *rgba);
    for (c = 0; c < 4 && count > 1; c++)
        rgba[c] = (float)(sum[c] / count);
    return filled;
}

/* Puts the filled channels over a pixel. The job's files are premultiplied, as EXR asks. */
static void lay_pixel(char *pixel, const float rgba[4], unsigned filled, int unpremultiplied)
{
    float out[4];
    int c;
    memcpy(out, pixel, sizeof out);
    if (filled & 8)
        out[3] = rgba[3];
    for (c = 0; c < 3; c++)
        if (filled & 1u << c)
            out[c] = unpremultiplied && out[3] > 0 ? rgba[c] / out[3] : rgba[c];
    memcpy(pixel, out, sizeof out);
}

/* The pixels of an image at this scale that may touch the box. */
static OfxRectI reach(OfxRectI box, const double scale[2])
{
    OfxRectI out;
    out.x1 = (int)(box.x1 * scale[0]) - 1;
    out.y1 = (int)(box.y1 * scale[1]) - 1;
    out.x2 = (int)(box.x2 * scale[0]) + 2;
    out.y2 = (int)(box.y2 * scale[1]) + 2;
    return out;
}

void fill_lay(const Fill *fill, const Image *source, const Image *output, OfxRectI window)
{
    const double *scale = output->scale;
    OfxRectI part, area = intersect(window, intersect(output->bounds, reach(fill->box, scale)));
    float rgba[4];
    int x, y;
    for (y = area.y1; y < area.y2; y++) {
        footprint(y, scale[1], fill->box.y1, fill->box.y2, &part.y1, &part.y2);
        for (x = area.x1; x < area.x2 && part.y1 < part.y2; x++) {
            unsigned filled;
            footprint(x, scale[0], fill->box.x1, fill->box.x2, &part.x1, &part.x2);
            filled = part.x1 < part.x2 ? mean(fill, part, rgba) : 0;
            if (filled)
                lay_pixel(image_pixel(output, x, y), rgba, filled, source->unpremultiplied);
        }
    }
}
