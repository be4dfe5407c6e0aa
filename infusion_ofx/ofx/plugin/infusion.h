/* What the plug-in's own files share. Read plugin.c first.
 *
 * The plug-in keeps no state but its parameters and the job folder. A job folder holds
 *
 *   plate/1001.frame  matte/1001.frame   what the host gave; the engine makes EXR of them
 *   engine.log                           all that the engine's process has said
 *   current                              one line: where the engine's own folder of the job is
 *   shown                                one line: where the finished fills are
 *   <name>/v001/                         the engine's folder, with status.json and fills/
 *
 * Every file appears under its name when it is whole.
 */
#ifndef INFUSION_H
#define INFUSION_H

#include <stdint.h>
#include <stdio.h>

#include "ofx.h"

#define MATTE_CLIP "Matte"

enum { PATH_SIZE = 4096, LINE_SIZE = 512 };

/* What the host offers, fetched in the Load action; message and progress may be NULL. */
typedef struct {
    OfxHost *host;
    const OfxImageEffectSuiteV1 *effect;
    const OfxPropertySuiteV1 *property;
    const OfxParameterSuiteV1 *parameter;
    const OfxMessageSuiteV1 *message;
    const OfxProgressSuiteV1 *progress;
    int temporal; /* whether it gives frames other than the one that is rendered */
} Host;

extern Host host;

/* describe.c ------------------------------------------------------------------------------- */

typedef enum {
    PARAM_JOB_FOLDER,
    PARAM_INPUT,
    PARAM_FRAME_OFFSET,
    PARAM_CAPTURE,
    PARAM_SHOWN_TAKE,
    PARAM_LAUNCH,
    PARAM_STOP,
    PARAM_REFRESH,
    PARAM_STATUS,
    PARAM_RESULT_VERSION,
    OWN_PARAM_COUNT
} OwnParam;

extern const char *const own_param_names[OWN_PARAM_COUNT];

/* The options of PARAM_INPUT. */
enum { INPUT_FILES, INPUT_HOST, INPUT_CAPTURED };

OfxStatus describe(OfxImageEffectHandle effect);
OfxStatus describe_in_context(OfxImageEffectHandle effect, OfxPropertySetHandle in);

/* job_params.c: the settings of a job, a parameter each; the table is made from Job in Python. */

typedef enum { JOB_TEXT, JOB_FILE, JOB_INTEGER, JOB_REAL, JOB_SWITCH, JOB_CHOICE } JobType;

typedef struct {
    const char *name;  /* the field's, and the parameter's */
    const char *label;
    const char *hint;
    const char *option; /* of the command line */
    const char *off;    /* of a switch: the option that takes it back */
    JobType type;
    int front;          /* whether it lies open, not in the group of the rarer ones */
    int unset_is_zero;  /* 0 leaves it to the recipe */
    double standard, least, most;
    const char *text;            /* default of a text or file */
    const char *const *choices;  /* of a choice, ended by NULL; `standard` is an index */
} JobParam;

extern const JobParam job_params[];
extern const int job_param_count;

/* instance.c ------------------------------------------------------------------------------- */

typedef struct {
    OfxImageEffectHandle effect;
    OfxImageClipHandle source, matte, output; /* matte is NULL where the context has none */
    OfxParamHandle own[OWN_PARAM_COUNT];
    OfxParamHandle job[]; /* job_param_count of them */
} Instance;

OfxStatus instance_create(OfxImageEffectHandle effect);
OfxStatus instance_destroy(OfxImageEffectHandle effect);
Instance *instance_of(OfxImageEffectHandle effect);

/* A parameter's text, copied: the host's own lives until the next call. 0 when it is there and
 * fits. */
int param_text(OfxParamHandle param, char *text, size_t size);
int param_integer(OfxParamHandle param);
double param_real(OfxParamHandle param);

/* A path in the job folder; 0 when the folder is named and the path fits. */
int job_path(const Instance *instance, const char *name, char *path, size_t size);

/* The number that a time of the host has in the job's files. */
int frame_at(const Instance *instance, double time);

int clip_is_connected(OfxImageClipHandle clip);

/* Sets the status that the artist reads. Not while rendering: a host takes no new values then. */
void tell(const Instance *instance, const char *text);

/* The same for what needs an answer: in a dialogue as well, where the host has one. */
void tell_error(const Instance *instance, const char *text);

/* image.c ---------------------------------------------------------------------------------- */

typedef struct {
    OfxPropertySetHandle handle; /* NULL where there is no image */
    char *data;                  /* pixel (x1, y1): the lowest row's leftmost */
    OfxRectI bounds;
    int row_bytes; /* to the row above; may be padded or negative */
    int channels;  /* 4 or 1 */
    int unpremultiplied;
    OfxRectI region; /* all of the picture, in pixels of this image's scale */
    double scale[2];
} Image;

/* Fetches an image of floats, RGBA or alpha alone. Whatever comes, image_release is right after. */
int image_fetch(OfxImageClipHandle clip, double time, Image *image);
void image_release(Image *image);

/* The floats of the pixel at (x, y), which must lie within the bounds. For memcpy: nobody promises
 * that a row begins where a float may. */
char *image_pixel(const Image *image, int x, int y);

OfxRectI intersect(OfxRectI a, OfxRectI b);

/* path.c ----------------------------------------------------------------------------------- */

/* Joins texts up to a NULL; 0 when all of it fits. */
int join(char *text, size_t size, ...);

/* Reads a small file's first line. 0 when it has one. */
int read_line(const char *path, char *line, size_t size);

/* The last line of a log that says something, "" where there is none. */
void last_line(const char *path, char *line, size_t size);

/* Makes UTF-8 without control characters of what a file or a cut may have left as anything. */
void make_printable(char *text);

/* A name for a file that is being written: no other thread or process has it. */
int temporary_name(const char *path, char *name, size_t size);

/* fill.c ----------------------------------------------------------------------------------- */

typedef struct {
    int width, height; /* of the whole frame */
    OfxRectI box;      /* what is held; (0, 0) is the frame's lowest, leftmost pixel */
    float *rgba;       /* the finished frame in the box, lowest row first */
    unsigned char *inside; /* a bit for each of R, G, B, A that is filled; 0 outside the hole */
} Fill;

/* Whether a frame's finished fill is there and has something to show. */
int fill_exists(const Instance *instance, int frame);

/* Reads it; 0 when it is there and whole. To be freed with fill_free in any case. */
int fill_read(const Instance *instance, int frame, Fill *fill);
void fill_free(Fill *fill);

/* Lays the fill over an output that holds the source already, within a window. */
void fill_lay(const Fill *fill, const Image *source, const Image *output, OfxRectI window);

/* Whether the fill was made for a picture of this size, which may be a proxy. */
int fill_fits(const Fill *fill, OfxRectI region, const double scale[2]);

/* frames.c --------------------------------------------------------------------------------- */

/* Renders' share of the capture: keeps the source and the matte of a time. */
void capture(const Instance *instance, const Image *source, double time);

/* Fetches every frame of the source and of a connected matte and writes them into the job folder.
 * 0 when all are there; else it has told why not. */
int pull_frames(const Instance *instance, int *first, int *last);

/* render.c --------------------------------------------------------------------------------- */

OfxStatus is_identity(OfxImageEffectHandle effect, OfxPropertySetHandle in,
                      OfxPropertySetHandle out);
OfxStatus render(OfxImageEffectHandle effect, OfxPropertySetHandle in);

/* buttons.c, launch.c, status.c ------------------------------------------------------------ */

OfxStatus instance_changed(OfxImageEffectHandle effect, OfxPropertySetHandle in);

/* Hands the job to an engine of its own, outside the host. */
void launch(const Instance *instance);

/* How the job stands, in one line for the artist. */
void status_line(const Instance *instance, char *line, size_t size);

/* The line of the log that Launch writes before the engine says anything. */
#define ENGINE_STARTS "the engine is starting"

/* Whether an engine is at work in the job folder, or starting, and was heard of lately. */
int is_running(const Instance *instance);

/* The engine's own folder of the newest job; 0 when it has begun one. */
int engine_folder(const Instance *instance, char *path, size_t size);

#endif
