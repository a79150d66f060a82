/* Decodes given packets with libavcodec and nothing else: no Python between the packets, no copy of a picture.

   Compiled when the benchmark runs, and bound at run time to the very library that PyAV bundles, which ships without
   headers: the few functions and the public fields used are declared here. AVPacket and AVCodecParameters have begun
   like this since FFmpeg 3.1. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { void *buf; int64_t pts, dts; uint8_t *data; int size; } Packet;
typedef struct { int codec_type, codec_id; uint32_t codec_tag; uint8_t *extradata; int extradata_size; } Parameters;

#define FUNCTIONS(X) \
    X(const void *, avcodec_find_decoder_by_name, (const char *)) \
    X(void *, avcodec_alloc_context3, (const void *)) \
    X(void, avcodec_free_context, (void **)) \
    X(int, avcodec_open2, (void *, const void *, void **)) \
    X(Parameters *, avcodec_parameters_alloc, (void)) \
    X(void, avcodec_parameters_free, (Parameters **)) \
    X(int, avcodec_parameters_to_context, (void *, const Parameters *)) \
    X(int, avcodec_send_packet, (void *, const Packet *)) \
    X(int, avcodec_receive_frame, (void *, void *)) \
    X(void, avcodec_flush_buffers, (void *)) \
    X(Packet *, av_packet_alloc, (void)) \
    X(void, av_packet_free, (Packet **)) \
    X(void, av_packet_unref, (Packet *)) \
    X(int, av_new_packet, (Packet *, int)) \
    X(void *, av_frame_alloc, (void)) \
    X(void, av_frame_free, (void **)) \
    X(void *, av_mallocz, (size_t)) \
    X(int, av_opt_set, (void *, const char *, const char *, int))

#define DECLARE(result, name, parameters) static result(*name) parameters;
FUNCTIONS(DECLARE)

enum { VIDEO = 0, H264 = 27, PADDING = 64 };

/* 0, or -1 when a library or a function is missing. */
int probe_bind(const char *libavcodec, const char *libavutil) {
    void *codec = dlopen(libavcodec, RTLD_NOW), *util = dlopen(libavutil, RTLD_NOW);
    if (!codec || !util) return -1;
#define BIND(result, name, parameters) \
    if (!(*(void **)&name = dlsym(codec, #name)) && !(*(void **)&name = dlsym(util, #name))) return -1;
    FUNCTIONS(BIND)
    return 0;
}

static int receive_all(void *context, void *frame) {
    int num_frames = 0;
    while (!avcodec_receive_frame(context, frame)) num_frames++;
    return num_frames;
}

/* Number of frames that came out; -1 when the decoder refuses something. A group of pictures ends after each packet
   that is marked in `is_last`. */
int probe_decode(const uint8_t *video, const uint8_t *extradata, int extradata_size, const int64_t *offset,
                 const int32_t *size, const uint8_t *is_last, int num_packets) {
    const void *decoder = avcodec_find_decoder_by_name("h264");
    void *context = avcodec_alloc_context3(decoder);
    Parameters *parameters = avcodec_parameters_alloc();
    parameters->codec_type = VIDEO;
    parameters->codec_id = H264;
    parameters->extradata = av_mallocz(extradata_size + PADDING);
    memcpy(parameters->extradata, extradata, extradata_size);
    parameters->extradata_size = extradata_size;
    avcodec_parameters_to_context(context, parameters);
    avcodec_parameters_free(&parameters);
    av_opt_set(context, "threads", "1", 0);
    av_opt_set(context, "err_detect", "explode", 0);
    Packet *packet = av_packet_alloc();
    void *frame = av_frame_alloc();
    int num_frames = 0, refused = avcodec_open2(context, decoder, NULL);
    for (int i = 0; i < num_packets && !refused; i++) {
        refused |= av_new_packet(packet, size[i]);
        if (refused) break;
        memcpy(packet->data, video + offset[i], size[i]);
        packet->pts = i;
        refused |= avcodec_send_packet(context, packet);
        av_packet_unref(packet);
        num_frames += receive_all(context, frame);
        if (is_last[i]) {
            refused |= avcodec_send_packet(context, NULL);
            num_frames += receive_all(context, frame);
            avcodec_flush_buffers(context);
        }
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&context);
    return refused ? -1 : num_frames;
}
